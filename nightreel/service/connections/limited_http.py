"""uvicorn's HTTP connections with limits: their number, the time for a request's head, and for taking an answer."""

from __future__ import annotations

import asyncio
import json
import secrets
from functools import cache
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from nightreel.service.options import Options

LEAST_RATE = 1000
"""Bytes a second, at least, at which a body comes and an answer is taken, after the first seconds: else clients that
send or read a byte now and then would keep everybody else out."""
UNREAD_S = 0.5
"""Seconds within which a request that has arrived is read, also where the event loop is busy."""
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
        self._taking: asyncio.TimerHandle | None = None
        self._too_many = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the head of a request."""
        super().connection_made(transport)
        most = _options().connections
        self._too_many = len(self.connections) > most
        if len(self.connections) > 2 * most:  # not even told: each costs the process an open file
            transport.abort()
            return
        transport.set_write_buffer_limits(high=0)  # `pause_writing` tells of each byte that is not taken
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
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """A part of an answer is not taken at once: it may not take for ever."""
        super().pause_writing()
        self._taken()
        self._wait_for_taking()

    def resume_writing(self) -> None:
        """All is taken."""
        super().resume_writing()
        self._taken()

    def handle_events(self) -> None:
        """As uvicorn does; a request's head ends the wait for one, the first bytes of another begin the next wait."""
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        """As uvicorn does; what is left of a refused body is passed over, but not for ever."""
        super().on_response_complete()
        self._watch()

    def shutdown(self) -> None:
        """Close this connection when the service is stopped: an idle one only after what it has sent was read, which
        the system may hold already. A request is answered first."""
        self.loop.call_later(UNREAD_S, super().shutdown)

    def _watch(self) -> None:
        if self._passes_over or (self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]):
            self._wait_for_head()
        elif self.conn.their_state is not h11.IDLE:
            self._came()

    @property
    def _passes_over(self) -> bool:
        """Whether a body is still coming that has been answered already."""
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE

    def _unsupported_upgrade_warning(self) -> None:
        """A request for another protocol is answered as if it had asked for none, and is no news."""

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

    def _wait_for_taking(self) -> None:
        pause, left = _options().header_s, self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(pause, self._not_taken, left - pause * LEAST_RATE)

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _not_taken(self, most: float) -> None:
        if self.transport.get_write_buffer_size() > max(most, 0):
            self.transport.abort()
        else:
            self._wait_for_taking()

    def _too_slow(self) -> None:
        if self._passes_over:
            self.transport.close()
            return
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
