"""Compute responses in a few threads, within a time limit; responses to POST are cached by version and request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nightreel.reader.live_reader import LiveReader
from nightreel.reader.reader import Reader
from nightreel.service.kept_bytes import KeptBytes
from nightreel.service.metrics import Metrics
from nightreel.service.options import Options


class Busy(Exception):
    """Too many requests are waiting."""


class Late(Exception):
    """The response took too long."""


class Answers:
    """Worker threads of one process, with a cache of responses. Cache keys begin with the version's edition: a new
    version, or a right or rule that begins or ends, invalidates older responses, which are dropped first. Only
    the event loop accesses it."""

    def __init__(self, live: LiveReader, options: Options, metrics: Metrics) -> None:
        self.live, self._options, self._metrics = live, options, metrics
        self.kept = KeptBytes(options.cached)
        self._pool = ThreadPoolExecutor(options.threads, thread_name_prefix="nightreel-answer")
        self._running = 0

    async def of(self, key: Hashable | None, question: Callable[[Reader], Any]) -> bytes:
        """Compute a response as JSON.

        Args:
            key: Identifies the request within a version; None: do not cache.
            question: Called with the reader.

        Raises:
            Busy: Too many requests are waiting.
            Late: The response took too long.
        """
        reader = self.live.reader
        edition = reader.edition
        if key is not None and (found := self.kept.get(edition, key)) is not None:
            self._metrics.cached.inc()
            return bytes(found)
        content = await self._computed(lambda: encoded(question(reader)))
        # Meanwhile the version may be gone, or an item withdrawn: then nobody will ask for this answer again.
        if key is not None and self.live.reader.edition == edition:
            self.kept.put(edition, key, content, len(content) + len(str(key)))
        return content

    async def _computed(self, work: Callable[[], bytes]) -> bytes:
        if self._running >= self._options.threads + self._options.queue:
            raise Busy
        self._running += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._done)
        try:
            # Shielded, because a thread can't be stopped: it counts as running until it ends.
            return await asyncio.wait_for(asyncio.shield(future), self._options.timeout_s)
        except TimeoutError:
            raise Late from None

    def _done(self, future: asyncio.Future[bytes]) -> None:
        self._running -= 1
        if not future.cancelled():
            future.exception()  # retrieved, so that asyncio does not report an exception that nobody waits for

    def close(self) -> None:
        """Wait for running requests."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def encoded(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
