"""Clients that send or read in crumbs, send too much, or open too many connections keep nobody else out."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tests.service.conftest import Client
from tests.service.served import serve
from tests.support.bundles import lineage, write_bundle

HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    root = tmp_path_factory.mktemp("connections")
    store = LocalStore(root / "store")
    write_bundle(root / "bundle")
    publish(store, root / "bundle", channel="live", champion=None, lineage=lineage("r"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NIGHTREEL_TOKEN", raising=False)
        with serve(store.uri, root / "state", "--header-timeout", "1", "--connections", "8") as served:
            yield int(served.url.rpartition(":")[2])


def line(port: int, receives: int | None = None) -> socket.socket:
    made = socket.socket()
    if receives is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    made.settimeout(60)
    made.connect(("127.0.0.1", port))
    return made


def rest(made: socket.socket) -> bytes:
    found = b""
    while part := made.recv(65536):
        found += part
    return found


@pytest.mark.end_to_end
def test_a_body_in_crumbs_ends(port: int) -> None:
    with line(port) as made:
        made.sendall(b"POST /recommend HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n")
        made.settimeout(0.2)
        said, began = b"", time.monotonic()
        while not said and time.monotonic() - began < 30:
            made.sendall(b" ")
            try:
                said = made.recv(65536)
            except TimeoutError:
                continue
        made.settimeout(60)
        said += rest(made)
        assert said.startswith(b"HTTP/1.1 408 ") and b"under 1000 bytes a second" in said


@pytest.mark.end_to_end
def test_who_does_not_read_an_answer_is_left(port: int) -> None:
    ask = b"GET /recommend?history=i001,i002&k=200&reasons=true HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with line(port, receives=2048) as made:
        made.sendall(ask * 600)  # far more answers than a socket holds
        time.sleep(1)
        deadline = time.monotonic() + 60
        with pytest.raises(OSError):
            while time.monotonic() < deadline:
                made.sendall(ask)
                time.sleep(0.5)
    assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200


@pytest.mark.end_to_end
def test_the_answer_to_a_body_that_is_too_long_arrives(port: int) -> None:
    answer = httpx.post(f"http://127.0.0.1:{port}/recommend", content=b'"' + b"x" * 12_000_000 + b'"', timeout=60)
    assert answer.status_code == 413 and "longer than" in answer.json()["error"]
    with line(port) as made:  # and one that never ends is not read for ever
        made.sendall(b"POST /recommend HTTP/1.1\r\n" + HEAD + b"Content-Length: 9000000000\r\n\r\n")
        made.settimeout(0.2)
        said, began = b"", time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 30:
                made.sendall(b" ")
                try:
                    said += made.recv(65536)
                except TimeoutError:
                    continue
        assert said.startswith(b"HTTP/1.1 413 ") and said.count(b"HTTP/1.1") == 1


@pytest.mark.end_to_end
def test_very_many_connections_end_and_then_all_is_well(port: int) -> None:
    lines = [line(port) for _ in range(200)]
    time.sleep(2.5)
    for made in lines:
        made.close()
    time.sleep(0.5)
    assert httpx.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200


@pytest.mark.parametrize(("host", "code"), [
    ("[::1]", 200), ("[::1]:8080", 200), ("LOCALHOST:1", 200), ("127.0.0.1", 200), ("localhost:80:evil", 421),
    ("localhost.evil.example", 421), ("evil.example:localhost", 421), ("127.0.0.1@evil.example", 421), ("", 421),
])  # fmt: skip
def test_the_name_of_this_machine_in_any_form(client: Client, host: str, code: int) -> None:
    assert client().get("/health", headers={"Host": host}).status_code == code


def test_a_path_with_a_slash_too_many_is_no_route(client: Client) -> None:
    answer = client().get("/recommend/?user=u001", follow_redirects=False)
    assert answer.status_code == 404 and "no such route" in answer.json()["error"]
