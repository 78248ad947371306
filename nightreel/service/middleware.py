"""Middleware around every request: token, host, body size, duration, and request counts."""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightreel.service.metrics import Metrics
from nightreel.service.options import LOOPBACK

OPEN = frozenset({"/", "/health", "/ready", "/explorer.css", "/explorer.js"})  # paths without user data
NO_SNIFFING = (b"x-content-type-options", b"nosniff")


class TooLarge(Exception):
    """The request body is too long."""


@dataclass(frozen=True)
class Guard:
    """Checks every request. token: required for all but OPEN paths; without a token only requests to a loopback host
    are answered, so that no web page can reach the service through a domain name. body: maximum bytes."""

    app: ASGIApp
    metrics: Metrics
    token: str | None
    body: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, code, taken = time.perf_counter(), 500, 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.body:
                raise TooLarge
            return message

        async def sending(message: Message) -> None:
            nonlocal code
            if taken > self.body:
                raise TooLarge  # whatever the application made of a truncated body
            if message["type"] == "http.response.start":
                code = message["status"]
                message = {**message, "headers": [*message["headers"], NO_SNIFFING]}
            await send(message)

        refusal = self._refusal(scope)
        try:
            if refusal:
                await _refuse(sending, *refusal)
            else:
                await self.app(scope, receiving, sending)
        except TooLarge:
            taken = 0
            await _refuse(sending, 413, f"The request body is longer than {self.body} bytes.")
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(code)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        if int(headers.get(b"content-length", b"0") or 0) > self.body:
            return 413, f"The request body is longer than {self.body} bytes."
        if self.token is None:
            host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0].strip("[]")
            return (
                None if host in LOOPBACK else (421, "Without a token the service only answers requests to localhost.")
            )
        if scope["path"] in OPEN:
            return None
        shown = headers.get(b"authorization", b"")
        if hmac.compare_digest(shown, b"Bearer " + self.token.encode()):
            return None
        return 401, "A token is required: send the header `Authorization: Bearer <token>`."


async def _refuse(send: Send, code: int, text: str) -> None:
    content = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if code == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": content})
