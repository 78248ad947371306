"""uvicorn's HTTP connections with limits: their number, the time for a request's head, and errors as JSON."""

from __future__ import annotations

import asyncio
import json
import secrets
from functools import cache
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from nightreel.service.options import Options

PHRASES = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


@cache
def _options() -> Options:
    """Read once in a worker: they stand in its environment."""
    return Options.taken()


class LimitedHttp(H11Protocol):
    """A connection. The time for a request's body is limited by the middleware, which knows its route."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head: asyncio.TimerHandle | None = None
        self._too_many = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the head of a request."""
        super().connection_made(transport)
        self._too_many = len(self.connections) > _options().connections
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Refuse what comes through a connection beyond the limit; not earlier, since closing a connection with unread
        bytes resets it, and the answer is lost."""
        if self._too_many:
            self._refuse(503, "Too many connections are open. Try again in a second.")
            return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._came()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """As uvicorn does; a request's head ends the wait for one, the first bytes of another begin the next wait."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._came()
        elif self.conn.trailing_data[0]:
            self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told as every other error is."""
        self._refuse(400, "This is not a valid HTTP/1.1 request.")

    def _wait_for_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(_options().header_s, self._too_slow)

    def _came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_slow(self) -> None:
        self._refuse(408, f"No complete request came within {_options().header_s:g} seconds.")

    def _refuse(self, code: int, text: str) -> None:
        """Written as bytes: the connection's state does not permit an answer before a whole request."""
        if self.transport.is_closing():
            return
        content = json.dumps({"error": text}).encode()
        head = f"HTTP/1.1 {code} {PHRASES[code]}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        head += f"x-request-id: {secrets.token_hex(8)}\r\n"
        self.transport.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        self.transport.close()
