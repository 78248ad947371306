"""`nightreel serve` as a process: workers, swaps under load, a clean end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from nightreel.store import channels
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.served import ROOT, serve
from tests.support.bundles import lineage, write_bundle


def mapped(pid: int, folder: Path) -> list[set[str]]:
    """Of each worker, the versions' files that it has mapped: the kernel keeps one copy of a file for all of them."""
    children = psutil.Process(pid).children(recursive=True)
    found = [{each.path for each in child.memory_maps() if each.path.startswith(str(folder))} for child in children]
    return [names for names in found if names]


@pytest.mark.end_to_end
def test_two_workers_swap_under_load_and_end_cleanly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIGHTREEL_TOKEN", raising=False)
    store, digests = LocalStore(tmp_path / "store"), []
    for n in range(2):
        write_bundle(tmp_path / f"b{n}", seed=n)
        champion = digests[-1] if digests else None
        record = lineage(f"r{n}")
        digests.append(publish(store, tmp_path / f"b{n}", channel="live", champion=champion, lineage=record).digest)
    with serve(store.uri, tmp_path / "state", "--workers", "2", "--refresh", "0.1") as served:
        seen: set[str] = set()
        codes: list[int] = []
        stop = threading.Event()

        def load(n: int) -> None:
            with httpx.Client(base_url=served.url, timeout=30) as client:
                while not stop.is_set():
                    answer = client.get("/recommend", params={"user": f"u{n:03d}", "k": 5})
                    codes.append(answer.status_code)
                    seen.add(answer.json()["version"])

        threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for n in range(4):
            time.sleep(0.3)
            channels.move(store, "live", digests[n % 2], previous=None, seen=channels.live(store))
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(codes) == {200} and seen == set(digests)
        one, two = mapped(served.process.pid, store.root / "versions")
        assert one & two and any(name.endswith("/vectors.npy") for name in one & two), (one, two)
        counted = httpx.get(f"{served.url}/metrics").text
        (line,) = [line for line in counted.splitlines() if 'code="200",route="/recommend"' in line]
        assert float(line.split()[-1]) == len(codes)  # both workers' together
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(15) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.mark.end_to_end
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_has_arrived_before_the_end_is_answered(
    workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NIGHTREEL_TOKEN", raising=False)
    store = LocalStore(tmp_path / "store")
    write_bundle(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))
    with (
        serve(store.uri, tmp_path / "state", "--workers", workers, "--timeout", "60") as served, ExitStack() as stack,
    ):  # fmt: skip
        address = ("127.0.0.1", int(served.url.rpartition(":")[2]))
        lines = [stack.enter_context(socket.create_connection(address, timeout=90)) for _ in range(30)]
        time.sleep(0.5)  # so that no connection waits to be accepted: that is up to the system
        for n, line in enumerate(lines):
            path = f"/recommend?user=u{n:03d}&k=20&reasons=true&diversity=0.{n:02d}"
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        served.process.send_signal(signal.SIGTERM)
        assert [line.recv(15) for line in lines] == [b"HTTP/1.1 200 OK"] * len(lines)
        _, told = served.process.communicate(timeout=90)
    assert "Traceback" not in told and "ERROR" not in told, told


@pytest.mark.parametrize(("arguments", "message"), [
    (["--host", "0.0.0.0"], "0.0.0.0: the service would be reachable by others without a token"),
    (["--host", "127.0.0.1", "--port", "{taken}"], "can't listen on this address .* nightreel serve --port"),
    (["--slates", "a file"], "a file: can't be written .* choose another folder"),
    (["--store", "empty"], "nothing is published yet in .*empty"),
])  # fmt: skip
def test_what_keeps_it_from_starting_is_told(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nightreel.errors import UserError
    from nightreel.service.options import Options
    from nightreel.service.run import serve as start

    monkeypatch.delenv("NIGHTREEL_TOKEN", raising=False)
    (tmp_path / "a file").touch()
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    options = Options(
        store=str(tmp_path / given.get("--store", "empty")), channel="live", refresh_s=1.0, threads=1, queue=1,
        timeout_s=1.0, body=1000, cached=1, feedback=None,
        slates=str(tmp_path / given["--slates"]) if "--slates" in given else None,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if "--port" in given else 0
        with pytest.raises(UserError, match=message):
            start(options, given.get("--host", "127.0.0.1"), port, 1)


def test_the_command_without_its_libraries_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = sys.modules['uvicorn'] = None; sys.modules['nightreel.service.run'] = None\n"
        "sys.argv = ['nightreel', 'serve']\nfrom nightreel.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pip install 'nightreel[service]'" in done.stderr


@pytest.mark.end_to_end
def test_connections_are_limited_in_number_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIGHTREEL_TOKEN", raising=False)
    store = LocalStore(tmp_path / "store")
    write_bundle(tmp_path / "bundle")
    publish(store, tmp_path / "bundle", channel="live", champion=None, lineage=lineage("r"))

    def said(port: int, content: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(content)
            found = b""
            while part := line.recv(65536):
                found += part
            return found

    with serve(store.uri, tmp_path / "state", "--header-timeout", "1", "--connections", "4") as served:
        port = int(served.url.rpartition(":")[2])
        slow = said(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert slow.startswith(b"HTTP/1.1 408 ") and b'{"error": "No complete request came within 1 seconds."}' in slow
        assert b"\r\nx-request-id: " in slow
        whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        second = said(port, whole + whole[:-2] + b"X-Slow: ")
        assert second.startswith(b"HTTP/1.1 200 OK") and b"HTTP/1.1 408 " in second, "on a kept connection, too"
        body = said(port, b"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert body.startswith(b"HTTP/1.1 408 ") and b"No part of the request body came" in body
        nonsense = said(port, b"\x16\x03\x01 nonsense\r\n\r\n")
        assert nonsense.startswith(b"HTTP/1.1 400 ") and b'{"error": ' in nonsense
        lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        time.sleep(0.3)
        assert b"503" in said(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")[:20]
        for line in lines:
            line.close()
        time.sleep(0.3)
        assert httpx.get(f"{served.url}/health").status_code == 200
