"""What is told where a store refuses, fails, lies or is not there: by moto's S3 server, a real one and a local folder."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.faults.proxy import Answer, Asked, Forward, Proxy
from benchmarks.speed.free_ports import free_ports
from nightreel.store.backends.base import Store, StoreError, StoreUnreachable, Token
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tests.contracts.servers import set_environment
from tests.support.bundles import lineage, write_bundle

pytestmark = pytest.mark.end_to_end


def every_call(store: Store, path: Path) -> list[str]:
    """The messages of all calls of a store that can't be used."""
    path.write_bytes(b"x" * 100)
    calls = [
        lambda: store.get("k"), lambda: store.get_file("k", path), lambda: store.get_with_token("k"),
        lambda: store.put("k", b"x"), lambda: store.put("k", path), lambda: store.list(""), lambda: store.exists("k"),
        lambda: store.compare_and_swap("k", None, b"x"),
    ]  # fmt: skip
    messages = []
    for call in calls:
        with pytest.raises(StoreError) as caught:
            call()
        messages.append(str(caught.value))
    return messages


@pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_refused_credentials_are_told_as_such(
    seaweed: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str
) -> None:
    set_environment(monkeypatch, seaweed)
    open_store("s3://nightreel/store").put("k", b"x")
    set_environment(monkeypatch, seaweed | {wrong: "wrong"})
    for message in every_call(open_store("s3://nightreel/store"), tmp_path / "file"):
        assert "refused the credentials" in message and "Check AWS_ACCESS_KEY_ID" in message


def test_missing_credentials_are_told_as_such(
    seaweed: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_environment(monkeypatch, {"AWS_ENDPOINT_URL": seaweed["AWS_ENDPOINT_URL"]})
    for message in every_call(open_store("s3://nightreel/store"), tmp_path / "file"):
        assert "no credentials found. Set AWS_ACCESS_KEY_ID" in message


def test_a_store_that_is_not_there_is_told_as_such(
    seaweed: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)}"
    set_environment(monkeypatch, seaweed | {"AWS_ENDPOINT_URL": endpoint, "AWS_MAX_ATTEMPTS": "1"})
    with pytest.raises(StoreError, match=f"can't be reached at {endpoint}. Start it, or correct AWS_ENDPOINT_URL"):
        open_store("s3://nightreel/store").get("k")


class Careless(BaseHTTPRequestHandler):
    """An S3 server that takes every write, whatever its condition says."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


class Broken(Careless):
    """An S3 server that answers every request with an internal error."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT


@pytest.fixture
def answering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a server whose answers the parameter gives."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    set_environment(monkeypatch, {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
    })  # fmt: skip
    yield
    server.shutdown()


@pytest.mark.parametrize("answering", [Broken], indirect=True)
@pytest.mark.usefixtures("answering")
def test_a_store_that_fails_may_be_tried_later() -> None:
    with pytest.raises(StoreUnreachable, match=r"k: the object store at http://.* failed \(500\).*Check its log"):
        open_store("s3://bucket/store").put("k", b"x")


@pytest.mark.parametrize("answering", [Careless], indirect=True)
@pytest.mark.usefixtures("answering")
def test_a_store_that_ignores_conditions_is_refused() -> None:
    with pytest.raises(StoreError, match=r"ignores conditional writes.*Use S3, MinIO, SeaweedFS or a local folder"):
        open_store("s3://bucket/store").compare_and_swap("channels/live.json", Token("1"), b"x")


@pytest.mark.parametrize("ignored", ["If-None-Match", "If-Match"])
def test_a_server_that_ignores_one_condition_is_refused_before_anything_is_sent(
    moto: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ignored: str
) -> None:
    """Some servers honour one of the two alone (localbucket 1.2 has no If-Match); either would let two runs win."""

    def deaf(asked: Asked, forward: Forward) -> Answer:
        asked.headers.pop(ignored, None)
        return forward()

    write_bundle(tmp_path / "bundle")
    with Proxy(moto["AWS_ENDPOINT_URL"]) as proxy:
        proxy.set(deaf)
        set_environment(monkeypatch, moto | {"AWS_ENDPOINT_URL": proxy.url})
        store = open_store(f"s3://bucket-{random.randrange(10**9)}/store")
        with pytest.raises(StoreError, match=rf"ignores conditional writes \({ignored.replace('-', '')}\)"):
            publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
        assert store.list("versions/") == {} and store.list("channels/") == {}
        proxy.set(None)
        assert publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r")).moved


def test_a_full_disk_is_told_and_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.put("k", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nightreel.store.backends.local._flush", full)
    with pytest.raises(StoreError, match=r"no space left on the device\. Free some"):
        store.put("k", b"new")
    assert store.get("k") == b"old"
    assert store.list("") == {"k": 3}
    assert not list((tmp_path / ".partial").iterdir())


def test_a_store_that_is_a_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        open_store(str(tmp_path / "store")).put("k", b"x")


def test_reading_creates_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    store.list(""), store.exists("k"), store.get_with_token("k")
    assert not (tmp_path / "store").exists()
