"""A reader that follows a channel: a new version is opened, checked and warmed aside, then takes over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

from nightreel.bundle.format import BundleError
from nightreel.errors import UserError
from nightreel.reader.reader import Reader
from nightreel.store import channels
from nightreel.store.backends.base import StoreError, StoreUnreachable
from nightreel.store.local_cache import fetch
from nightreel.store.open import open_store
from nightreel.store.withdrawals_file import Withdrawals, read

Answer = TypeVar("Answer")
FIRST_S, LONGEST_S = 60.0, 3600.0  # pauses before a refused version is tried again: its bytes may be sound by then


@dataclass(frozen=True)
class Status:
    """What is served and how the following goes.

    published_at: of the version, ISO 8601, None where the store does not say; swaps: versions taken over since the
    start; refused: the digest last refused, tried again after pauses that double from a minute to an hour; fault: why,
    or why the store or the withdrawals can't be read; withdrawals: SHA-256 of the file that holds for what is served.
    """

    digest: str
    published_at: str | None
    swaps: int
    refused: str | None
    fault: str | None
    withdrawals: str | None = None

    def age_s(self, now: datetime | None = None) -> float | None:
        """Seconds since the version was published."""
        if self.published_at is None:
            return None
        return ((now or datetime.now(UTC)) - datetime.fromisoformat(self.published_at)).total_seconds()


class LiveReader:
    """`reader` is always a whole, verified version: take it once a request and keep it until the answer is out.

    A version that is torn or changed is refused and named in `status`, and the last good one goes on; so it does while
    the store can't be asked. Other withdrawals are taken over without opening the version anew; where their file can't
    be read, the last ones go on to hold, and nothing else is taken over. Memory: two versions while one takes over from
    the other; their files are mapped.
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        channel: str = "live",
        every_s: float = 15.0,
        start: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Opens what the channel points to now; raises as Reader.open does. every_s: pause between two looks at the
        channel; start: look in a thread of its own, else only when `refresh` is called; now: as for Reader.open."""
        self._store, self._channel, self._every_s = open_store(uri), channel, every_s
        self._now = now
        digest, beside = channels.opened(self._store, channel, None)
        self._reader = self._opened(digest, read(self._store, beside))
        self._status = Status(digest, self._published_at(digest), 0, None, None, beside)
        self._again, self._pause_s = 0.0, FIRST_S
        self._swap, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="nightreel-refresh", daemon=True)
        if start:
            self._thread.start()

    @property
    def reader(self) -> Reader:
        """The version that is served now."""
        return self._reader

    @property
    def status(self) -> Status:
        """As of the last look."""
        return self._status

    def refresh(self) -> bool:
        """Look at the channel once; returns whether another version or other withdrawals took over. Never raises for
        what a store or a version can do wrong: see `status`."""
        with self._swap:
            try:
                digest, withdrawn = self._withdraw()
                taken = self._take(digest)
                if taken:  # opening it took its time, in which more may have been withdrawn
                    self._withdraw()
            except (UserError, OSError) as error:
                self._status = replace(self._status, refused=None, fault=str(error))
                return False
            return withdrawn or taken

    def _withdraw(self) -> tuple[str, bool]:
        """Let the channel's withdrawals hold for what is served; returns the digest that the channel points to, and
        whether they are others than before."""
        digest, beside = channels.opened(self._store, self._channel, None)
        if beside == self._status.withdrawals:
            return digest, False
        reader = self._reader.under(read(self._store, beside))
        warm(reader)
        self._reader, self._status = reader, replace(self._status, withdrawals=beside)
        return digest, True

    def _take(self, digest: str) -> bool:
        """Serve a version, if it is another one and sound; returns whether it took over."""
        before = self._status
        if digest == before.digest:
            self._status = replace(before, refused=None, fault=None)
            return False
        if digest == before.refused and time.monotonic() < self._again:
            return False
        try:
            reader, published_at = self._opened(digest, self._reader.withdrawals), self._published_at(digest)
        except BundleError as error:
            self._pause_s = min(2 * self._pause_s, LONGEST_S) if digest == before.refused else FIRST_S
            self._again = time.monotonic() + self._pause_s
            self._status = replace(before, refused=digest, fault=str(error))
            return False
        self._reader = reader
        self._status = Status(digest, published_at, before.swaps + 1, None, None, before.withdrawals)
        return True

    async def ask(self, question: Callable[[Reader], Answer]) -> Answer:
        """An answer of the reader from another thread, for asyncio: `await live.ask(lambda r: r.similar("42", 10))`."""
        return await asyncio.to_thread(question, self._reader)

    def close(self) -> None:
        """Stop following; `reader` stays usable."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self) -> None:
        while not self._end.wait(self._every_s):
            self.refresh()

    def _opened(self, digest: str, withdrawals: Withdrawals | None) -> Reader:
        """A version with all that is built on first use built, so that no request waits for it."""
        plain = Reader.open_bundle(fetch(self._store, digest), check=False, now=self._now)  # checked by fetch
        reader = plain.under(withdrawals)
        try:
            warm(reader)
        except (ValueError, IndexError, KeyError, TypeError) as error:
            # Whole, but made of parts that don't fit each other.
            raise BundleError(f"version {digest[:12]}: can't answer ({error}). Use another version.") from None
        return reader

    def _published_at(self, digest: str) -> str | None:
        """None too where the record is damaged: it stands beside the version, which is whole without it."""
        try:
            told = channels.lineage(self._store, digest)["published_at"]
            return told if datetime.fromisoformat(told).tzinfo else None
        except StoreUnreachable:
            raise
        except (StoreError, KeyError, TypeError, ValueError):
            return None


def warm(reader: Reader) -> None:
    """Ask one question of every kind."""
    some = list(reader.items.ids[:2])
    reader.recommend(k=10)
    reader.recommend(history=some, k=10, reasons=True)
    reader.search("a", 1)
    if some:
        reader.similar(some[0], 1)
