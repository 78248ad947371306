"""Response cache for GET requests, keyed by version and URL: a hit needs no parsing and no thread."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import parse_qs

from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightreel.service.impression_log import SlateLog
from nightreel.service.metrics import Metrics

KEPT = {path: SimpleNamespace(path=path) for path in ("/recommend", "/similar", "/search", "/explain")}
LISTS = "/recommend"
Key = tuple[str, str, bytes]
Kept = tuple[bytes, str | None]
"""(response, the user whose list it is)"""


@dataclass(frozen=True)
class Remembered:
    """The cache, behind the token check. most: number of responses; the least recently used are dropped first.

    Keys begin with the version's edition: a new version, or a right or rule that begins or ends, invalidates older
    responses. Only the event loop accesses it.
    """

    app: ASGIApp
    state: State
    metrics: Metrics
    most: int
    kept: OrderedDict[Key, Kept] = field(default_factory=OrderedDict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in KEPT:
            await self.app(scope, receive, send)
            return
        key = (self.state.answers.live.reader.edition, scope["path"], scope["query_string"])
        kept = self.kept.get(key)
        if kept is None:
            await self._asked(key, scope, receive, send)
            return
        content, user = kept
        slates: SlateLog | None = self.state.slates
        if slates is not None and user is not None:
            content = slates.served(user, content)
        self.kept.move_to_end(key)
        self.metrics.cached.inc()
        scope["route"] = KEPT[scope["path"]]  # the route for the metrics
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _asked(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        code, parts = 0, []

        async def sending(message: Message) -> None:
            nonlocal code
            code = message.get("status", code)
            parts.append(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, sending)
        content = b"".join(parts)
        # The version may have changed meanwhile: the response names the version that it comes from.
        if code == 200 and content.startswith(b'{"version":"' + key[0].partition(".")[0].encode()):
            user = parse_qs(key[2].decode("latin-1")).get("user") if key[1] == LISTS else None
            self.kept[key] = content, user[-1] if user else None
            while len(self.kept) > self.most:
                self.kept.popitem(last=False)
