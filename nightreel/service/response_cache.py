"""Response cache for GET requests, keyed by version and URL: a hit needs no parsing and no thread."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightreel.service.connections.middleware import BODILESS
from nightreel.service.kept_bytes import KeptBytes
from nightreel.service.metrics import Metrics
from nightreel.service.recording.impression_log import SlateLog

KEPT = {path: SimpleNamespace(path=path) for path in ("/recommend", "/similar", "/search", "/explain")}
KEEP = "nightreel.keep"  # in a request's scope, where the answer depends on a user
Key = tuple[str, str, bytes]


@dataclass(frozen=True)
class Listed:
    """What an answer to GET depends on, besides its URL: the user's recent events. shown: it is a list that the user
    sees."""

    user: str | None = None
    revision: int = 0
    shown: bool = False


PLAIN = Listed()


def going_out(scope: Scope, slates: SlateLog | None, listed: Listed, content: bytes) -> bytes:
    """An answer as it leaves: a list that the user gets to see is logged, under an id of its own."""
    if slates is None or not listed.shown or BODILESS in scope:
        return content
    return slates.served(listed.user, content)


@dataclass(frozen=True)
class Remembered:
    """The cache, behind the token check. kept: shared with the answers to POST.

    Keys begin with the version's edition: a new version, or a right or rule that begins or ends, invalidates older
    responses. Only the event loop accesses it.
    """

    app: ASGIApp
    state: State
    metrics: Metrics
    kept: KeptBytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in KEPT:
            await self.app(scope, receive, send)
            return
        key = (self._edition, scope["path"], scope["query_string"])
        found = self.kept.get(key[0], key[1:])
        if found is None or (found[1].user is not None and self._revision(found[1].user) != found[1].revision):
            await self._asked(key, scope, receive, send)
            return
        content, listed = found
        content = going_out(scope, self.state.slates, listed, content)
        self.metrics.cached.inc()
        scope["route"] = KEPT[scope["path"]]  # the route for the metrics
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    @property
    def _edition(self) -> str:
        return str(self.state.answers.live.reader.edition)

    def _revision(self, user: str) -> int:
        return 0 if self.state.log is None else int(self.state.log.revision(user))

    async def _asked(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        code, parts = 0, []

        async def sending(message: Message) -> None:
            nonlocal code
            code = message.get("status", code)
            parts.append(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, sending)
        content = b"".join(parts)
        # A list that was drawn at random is not kept: its route says nothing of what it depends on. Nor is an answer
        # whose version is gone by now, or lost an item meanwhile.
        listed = scope.get(KEEP, PLAIN if key[1] in ("/similar", "/search") else None)
        if code == 200 and listed and self._edition == key[0] and _understood(key[2]):
            self.kept.put(key[0], key[1:], (content, listed), len(content) + len(key[2]))


def _understood(query: bytes) -> bool:
    """Whether every part of a query is a parameter. Routes pass over other parts, such as the last one of `k=3&`: kept
    by their text, they would fill the cache with one answer under any number of names."""
    return not query or all(b"=" in part for part in query.split(b"&"))
