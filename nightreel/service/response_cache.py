"""Response cache for GET requests, keyed by version and URL: a hit needs no parsing and no thread."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from starlette.datastructures import State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        key = (self.state.answers.live.reader.edition, scope["path"], scope["query_string"])
        found = self.kept.get(key[0], key[1:])
        if found is None or (found[1].user is not None and self._revision(found[1].user) != found[1].revision):
            await self._asked(key, scope, receive, send)
            return
        content, listed = found
        slates: SlateLog | None = self.state.slates
        if slates is not None and listed.shown:
            content = slates.served(listed.user, content)
        self.metrics.cached.inc()
        scope["route"] = KEPT[scope["path"]]  # the route for the metrics
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

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
        # The version may have changed meanwhile: the response names the version that it comes from. A list that was
        # drawn at random is not kept: its route says nothing of what it depends on.
        listed = scope.get(KEEP, PLAIN if key[1] in ("/similar", "/search") else None)
        if code == 200 and listed and content.startswith(b'{"version":"' + key[0].partition(".")[0].encode()):
            self.kept.put(key[0], key[1:], (content, listed), len(content) + len(key[2]))
