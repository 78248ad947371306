"""Middleware around every request: token, host, body, duration, request id, access log, errors as JSON, counts."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import secrets
import time
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightreel.service.connections.access_log import AccessLog
from nightreel.service.connections.limited_http import LEAST_RATE
from nightreel.service.metrics import Metrics
from nightreel.service.options import LOOPBACK

OPEN = frozenset({"/", "/health", "/ready", "/explorer.css", "/explorer.js"})  # paths without user data
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
ID_HEADER = b"x-request-id"
BODILESS = "nightreel.bodiless"  # in the scope of a request whose answer nobody gets to see
_HOST = re.compile(rb":\d*\Z")  # the port behind it; an IPv6 address stands in brackets
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
LOG = logging.getLogger("nightreel.service")


class TooLarge(Exception):
    """The request body is too long."""


class TooSlow(Exception):
    """The request body does not come."""


@dataclass
class _Exchange:
    """One request and what has become of it so far."""

    request: bytes
    head: bool
    code: int = 500
    taken: int = 0
    slow: bool = False
    refused: bool = False
    started: bool = False
    began: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class Guard:
    """Checks every request. token: required for all but OPEN paths; without a token only requests to a loopback host
    are answered, so that no web page can reach the service through a domain name. body: maximum bytes; body_s: seconds
    in which a part of it must come; log: None for no access log."""

    app: ASGIApp
    metrics: Metrics
    token: str | None
    body: int
    body_s: float = 10.0
    log: AccessLog | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        own = _Exchange(_request_id(scope), method == "HEAD")
        if own.head:  # answered as GET is, without the body
            scope = {**scope, "method": "GET", BODILESS: True}

        async def receiving() -> Message:
            try:
                message = await asyncio.wait_for(receive(), None if own.started else self._patience(own))
            except TimeoutError:
                own.slow = True
                raise TooSlow from None
            own.taken += len(message.get("body", b""))
            if own.taken > self.body:
                raise TooLarge
            return message

        async def sending(message: Message) -> None:
            if own.taken > self.body:
                raise TooLarge  # whatever the application made of a truncated body
            if own.slow and not own.refused:
                raise TooSlow
            if message["type"] == "http.response.start":
                own.code, own.started = message["status"], True
                message = {**message, "headers": [*message["headers"], NO_SNIFFING, (ID_HEADER, own.request)]}
            elif own.head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._answered(scope, receiving, sending, own)
        finally:
            route, seconds = getattr(scope.get("route"), "path", "other"), time.perf_counter() - own.began
            self.metrics.requests.labels(route, str(own.code)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            if self.log is not None:
                self.log.write(own.request.decode(), method, route, own.code, seconds)

    def _patience(self, own: _Exchange) -> float:
        """Seconds in which the next part of a body must come: also a body that comes in crumbs must end."""
        late = time.perf_counter() - own.began - own.taken / LEAST_RATE
        return max(0.0, min(self.body_s, 2 * self.body_s - late))

    async def _answered(self, scope: Scope, receive: Receive, send: Send, own: _Exchange) -> None:
        refusal = self._refusal(scope)
        try:
            if refusal:
                await _refuse(send, *refusal)
            else:
                await self.app(scope, receive, send)
        except TooLarge:
            own.taken = 0
            await _refuse(send, 413, f"The request body is longer than {self.body} bytes.")
        except TooSlow:
            own.refused = True
            text = f"No part of the request body came within {self.body_s:g} seconds"
            text += f", or under {LEAST_RATE} bytes a second."
            await _refuse(send, 408, text)
        except asyncio.CancelledError:  # the service has been stopped, and has waited for as long as it may
            if own.started:
                raise
            await _refuse(send, 503, "The service is being stopped. Try again in a minute.")
        except Exception:
            LOG.exception("request %s failed", own.request.decode())
            if own.started:
                raise
            text = f"The service failed. Its log has the reason under the request id {own.request.decode()}."
            await _refuse(send, 500, text)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers and b"content-length" in headers:
            # A proxy may go by the one and this service by the other: the rest would be another request.
            return 400, "A request has Content-Length or Transfer-Encoding, not both."
        if int(headers.get(b"content-length", b"0") or 0) > self.body:
            return 413, f"The request body is longer than {self.body} bytes."
        if self.token is None:
            if _HOST.sub(b"", headers.get(b"host", b"")).strip(b"[]").lower().decode("latin-1") in LOOPBACK:
                return None
            return 421, "Without a token the service only answers requests to localhost."
        if scope["path"] in OPEN:
            return None
        shown = headers.get(b"authorization", b"")
        if hmac.compare_digest(shown, b"Bearer " + self.token.encode()):
            return None
        return 401, "A token is required: send the header `Authorization: Bearer <token>`."


def _request_id(scope: Scope) -> bytes:
    """The caller's, if it is a plain word; else a new one."""
    given = next((value for name, value in scope["headers"] if name == ID_HEADER), b"")
    return given if _ID.fullmatch(given) else secrets.token_hex(8).encode()


async def _refuse(send: Send, code: int, text: str) -> None:
    content = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if code == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if code in (400, 408):  # of a longer one, the rest is passed over: closing at once would lose the answer
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": content})
