"""Our own object store: starts with generated credentials, keeps data, stops whole, says when a port is taken."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import time
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.speed.free_ports import free_ports
from nightreel.bundle.format import BundleError
from nightreel.reader.reader import Reader
from nightreel.store.backends import internal_tls
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.seaweedfs import ObjectStore
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tests.contracts.servers import set_environment
from tests.support.bundles import lineage, write_bundle


def listening(first: int) -> list[int]:
    """Those of a server's eight ports on which somebody answers."""
    ports = []
    for port in range(first, first + 8):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                ports.append(port)
    return ports


@pytest.mark.end_to_end
def test_data_and_credentials_outlive_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_ports(11) + 3
    monkeypatch.setattr("nightreel.store.backends.seaweedfs._MAX_VOLUMES", 7)  # what a disk with 7 GB free used to get
    server = ObjectStore(tmp_path / "object-store", port)
    environment = server.start()
    set_environment(monkeypatch, environment)
    monkeypatch.setenv("NIGHTREEL_STORE", environment["NIGHTREEL_STORE"])
    try:
        assert len(listening(port)) == 8
        open_store().put("channels/live.json", b"kept")
        for bucket in range(3):
            open_store(f"s3://bucket-{bucket}/store").put("k", b"each bucket finds a volume")
        credentials = tmp_path / "object-store.json"
        assert credentials.stat().st_mode & 0o077 == 0
        assert len(json.loads(credentials.read_text())["identities"]) == 1
        other = ObjectStore(tmp_path / "second", port - 3)
        with pytest.raises(StoreError, match=f"Port {port} on 127.0.0.1 can't be used.*Stop what uses it"):
            other.start()
    finally:
        began = time.monotonic()
        server.stop()
    assert time.monotonic() - began < 5
    assert listening(port) == []
    server.stop()
    again = ObjectStore(tmp_path / "object-store", port)
    try:
        assert again.start() == environment
        assert open_store().get("channels/live.json") == b"kept"
    finally:
        again.stop()


@pytest.mark.end_to_end
def test_nobody_without_the_key_writes_or_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEUSER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret of the user")
    server = ObjectStore(tmp_path / "object-store", free_ports(8))
    try:
        set_environment(monkeypatch, server.start())
        store = open_store(server.environment["NIGHTREEL_STORE"])
        store.put("channels/live.json", b"ours")
        master, volume, filer = (f"http://127.0.0.1:{server.port + step}" for step in (1, 2, 3))
        evil = {"Origin": "http://evil.example"}
        bucket = f"{filer}/buckets/nightreel/store"
        attacks = [
            httpx.put(f"{bucket}/channels/live.json", content=b"theirs", headers=evil),
            httpx.post(f"{filer}/.tus/buckets/nightreel/x", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "1"}),
            httpx.delete(f"{bucket}?recursive=true"),
            httpx.get(f"{bucket}/channels/live.json"),
            httpx.get(f"{master}/col/delete?collection=nightreel"),
            httpx.get(f"{master}/dir/assign"),
            httpx.put(f"{volume}/1,01637037d6", content=b"theirs"),
            httpx.delete(f"{volume}/1,01637037d6"),
            httpx.put(f"{server.environment['AWS_ENDPOINT_URL']}/nightreel/x", content=b"theirs"),
        ]
        assert {each.status_code for each in attacks} <= {401, 403, 404}
        asked = httpx.options(
            f"{server.environment['AWS_ENDPOINT_URL']}/nightreel/x",
            headers=evil | {"Access-Control-Request-Method": "PUT"},
        )
        assert asked.headers.get("access-control-allow-origin") not in ("*", "http://evil.example")
        assert store.get("channels/live.json") == b"ours"
        ours = f"-dir={server.folder / 'data'}"  # a fixture of the session may hold another server
        (process,) = (each for each in psutil.Process().children() if ours in each.cmdline())
        assert "OFTHEUSER" not in json.dumps(process.environ()) + server.log.read_text()
    finally:
        server.stop()


@pytest.mark.end_to_end
def test_a_version_published_to_it_is_read_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ObjectStore(tmp_path / "object-store", free_ports(8))
    write_bundle(tmp_path / "bundle")
    try:
        set_environment(monkeypatch, server.start())
        monkeypatch.setenv("NIGHTREEL_STATE", str(tmp_path / "state"))
        uri = server.environment["NIGHTREEL_STORE"]
        done = publish(open_store(uri), tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
        reader, local = Reader.open(uri), Reader.open_bundle(tmp_path / "bundle")
        assert done.moved and reader.digest == local.digest == done.digest
        assert reader.recommend("u000", k=10) == local.recommend("u000", k=10)
        kept = tmp_path / "state" / "cache" / "bundles" / done.digest / "vectors.npy"
        assert kept.read_bytes() == (tmp_path / "bundle" / "vectors.npy").read_bytes()
        again = publish(open_store(uri), tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
        assert not again.moved and again.uploaded == 0
        open_store(uri).put(f"versions/{done.digest}/vectors.npy", b"damaged")
        shutil.rmtree(tmp_path / "state")
        with pytest.raises(BundleError, match=rf"{uri}: versions/{done.digest}/vectors\.npy: has 7 bytes"):
            Reader.open(uri)
    finally:
        server.stop()


@pytest.mark.end_to_end
def test_the_internal_ports_answer_nobody_without_a_certificate(seaweed: dict[str, str]) -> None:
    """gRPC in plain text, as any program of any user would open it, gets no frame of HTTP/2 (its fourth byte says)."""
    first = int(seaweed["AWS_ENDPOINT_URL"].rpartition(":")[2])
    for port in range(first + 4, first + 8):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            assert plain.recv(9)[:1] in (b"", b"\x15"), "closed, or an alert of TLS"
        unknown = ssl.create_default_context()
        unknown.check_hostname, unknown.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", port), timeout=20) as bare, pytest.raises(OSError):
            secured = unknown.wrap_socket(bare)
            secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            raise AssertionError(secured.recv(100))


def test_the_internal_certificate_is_new_at_every_start_and_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "object-store-tls"
    first = internal_tls.prepare(folder)
    key = Path(first["WEED_GRPC_FILER_KEY"]).read_bytes()
    assert internal_tls.prepare(folder) == first and Path(first["WEED_GRPC_FILER_KEY"]).read_bytes() != key
    modes = {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    assert modes == {0o700, 0o600} and len(list(folder.iterdir())) == 2


def test_two_stores_never_share_credentials(tmp_path: Path) -> None:
    first, second = (ObjectStore(tmp_path / name, 20_000).environment for name in ("a", "b"))
    assert first["AWS_SECRET_ACCESS_KEY"] != second["AWS_SECRET_ACCESS_KEY"]
    assert first["AWS_ACCESS_KEY_ID"] != second["AWS_ACCESS_KEY_ID"]


def test_a_server_that_dies_is_told_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "weed"
    broken.write_text("#!/bin/sh\necho no such flag; exit 2\n")
    broken.chmod(0o755)
    monkeypatch.setattr("nightreel.store.backends.seaweedfs._weed", lambda: broken)
    server = ObjectStore(tmp_path / "object-store", free_ports(8))
    with pytest.raises(StoreError, match=r"did not start on port .*server\.log"):
        server.start()
    assert "no such flag" in server.log.read_text()
    assert not [p for p in Path("/proc").iterdir() if p.name.isdigit() and str(broken) in _command(p)]


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
