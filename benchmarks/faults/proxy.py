"""A proxy in front of a real S3 server that injects faults."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_OWN = {"connection", "content-length", "date", "expect", "keep-alive", "server", "transfer-encoding"}


@dataclass(frozen=True)
class Asked:
    """A request. number: from 1, since the proxy began or was counted anew."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A response. sent: bytes of the body that are sent before the connection breaks, None for all."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent: int | None = None


Forward = Callable[[], Answer]
Fault = Callable[[Asked, Forward], Answer | None]
"""What to answer instead; None: nothing, the connection breaks. `forward` passes the request on to the server."""


class Proxy(ThreadingHTTPServer):
    """On a free port of loopback while entered. fault: None passes everything on."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.upstream = (str(parts.hostname), int(parts.port or 80))
        self.fault: Fault | None = None
        self._counter = itertools.count(1)
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def set(self, fault: Fault | None) -> None:
        """Misbehave so from now on; requests are counted anew."""
        self._counter, self.fault = itertools.count(1), fault

    def number(self) -> int:
        """Of the next request."""
        return next(self._counter)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle is nothing to report."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy
    _upstream: http.client.HTTPConnection | None = None

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.server.number(), self.command, self.path, dict(self.headers.items()), body)
        fault = self.server.fault
        answer = fault(asked, lambda: self._forward(asked)) if fault else self._forward(asked)
        if answer is None:
            self._break()
        else:
            self._send(answer)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        super().finish()

    def log_message(self, format: str, *args: object) -> None: ...

    def _forward(self, asked: Asked) -> Answer:
        """Signed headers, Host among them, go on as they came."""
        if self._upstream is None:
            self._upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        upstream = self._upstream
        send_head(upstream, asked)
        upstream.send(asked.body)
        got = upstream.getresponse()
        headers = {name: value for name, value in got.getheaders() if name.lower() not in _OWN}
        if asked.method == "HEAD":
            headers["Content-Length"] = got.getheader("Content-Length", "0")
        return Answer(got.status, headers, got.read())

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = (
            answer.headers if self.command == "HEAD" else answer.headers | {"Content-Length": str(len(answer.body))}
        )
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.sent])
        if answer.sent is not None:
            self._break()

    def _break(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def send_head(upstream: http.client.HTTPConnection, asked: Asked) -> None:
    """Request line and headers; the body is to follow."""
    upstream.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
    for name, value in asked.headers.items():
        if name.lower() not in {"expect", "connection"}:
            upstream.putheader(name, value)
    upstream.endheaders()


def cut(answer: Answer) -> Answer:
    """The same, broken off in the middle."""
    return replace(answer, sent=len(answer.body) // 2)
