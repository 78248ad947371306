"""`LiveReader` follows a channel: a new version is opened, checked and warmed up in the background, then swapped in."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from weakref import ref

from nightreel.errors import UserError
from nightreel.reader.reader import Reader
from nightreel.reader.requests import arguments
from nightreel.store import channels
from nightreel.store.backends.base import StoreError, StoreUnreachable
from nightreel.store.local_cache import fetch
from nightreel.store.open import open_store
from nightreel.store.withdrawals_file import Withdrawals, read

LOG = logging.getLogger("nightreel.reader")
Result = TypeVar("Result")
FIRST_S, LONGEST_S = 60.0, 3600.0  # shortest and longest pause before a rejected version is tried again


@dataclass(frozen=True)
class Status:
    """State of a LiveReader after its last refresh.

    Attributes:
        digest: Digest of the served version.
        published_at: When it was published, ISO 8601; None if the store has no record of it.
        swaps: Number of version changes since the start.
        refused: Digest of the version that failed its checks, if any. It is tried again after pauses that double from
            a minute to an hour.
        fault: Why it was refused, or why the store or the withdrawals can't be read; None if all is well.
        withdrawals: SHA-256 of the withdrawals file in force; None if there is none.
    """

    digest: str
    published_at: str | None
    swaps: int
    refused: str | None
    fault: str | None
    withdrawals: str | None = None

    def age_s(self, now: datetime | None = None) -> float | None:
        """Seconds since the version was published; None if unknown. now: default: the current time."""
        if self.published_at is None:
            return None
        return ((now or datetime.now(UTC)) - datetime.fromisoformat(self.published_at)).total_seconds()


class LiveReader:
    """A reader that follows a channel of a store.

    `reader` is always a complete, verified version. Take it once per request and keep it until the response is sent.

    A version with incomplete or changed files is refused and named in `status`; the previous version stays in service,
    also while the store can't be reached. New withdrawals are applied without reopening the version. If their file
    can't be read, the present ones stay in force and no new version is opened. Memory: two versions during a swap;
    their files are memory-mapped.

    Example:
        >>> from nightreel import LiveReader
        >>> with LiveReader() as live:
        ...     recommendations = live.reader.recommend("u000", k=3)
        >>> len(recommendations)
        3
    """

    def __init__(
        self,
        uri: str | Path | None = None,
        *,
        channel: str = "live",
        every_s: float = 15.0,
        start: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Open the version that the channel points to.

        Args:
            uri: The store, as in Reader.open.
            channel: Name of the channel.
            every_s: Seconds between two checks for a new version, above 0.
            start: Whether to check in a background thread; otherwise only `refresh` checks.
            now: Returns the current time in epoch seconds; for replays and tests.

        Raises:
            StoreError: As in Reader.open.
            BundleError: As in Reader.open.
        """
        self._uri, self._channel, self._every_s, self._now = uri, arguments.text("channel", channel), every_s, now
        if not arguments.number("every_s", every_s) > 0:
            raise UserError(f"every_s is {every_s}. Give seconds, above 0.")
        self._store = open_store(uri)
        digest, withdrawals = channels.opened(self._store, channel, None)
        self._reader = self._opened(digest, read(self._store, withdrawals))
        self._status = Status(digest, self._published_at(digest), 0, None, None, withdrawals)
        self._again, self._pause_s = 0.0, FIRST_S
        self._ready_to_follow()
        if start:
            self._thread.start()
            own = ref(self)
            os.register_at_fork(after_in_child=lambda: _follow_on(own()))

    def _ready_to_follow(self) -> None:
        self._swap, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="nightreel-refresh", daemon=True)

    def after_fork(self) -> None:
        """Follow the channel in a forked process, too, where no thread of the first process runs. Called by itself.

        The lock may have been held, and the store's connections belong to the first process: both are made anew.
        """
        if self._end.is_set():
            return
        self._ready_to_follow()
        self._store = open_store(self._uri)
        self._thread.start()

    @property
    def reader(self) -> Reader:
        """The served version."""
        return self._reader

    @property
    def status(self) -> Status:
        """State after the last refresh."""
        return self._status

    def refresh(self) -> bool:
        """Check the channel once for a new version or new withdrawals.

        Errors of the store or of a version are not raised, see `status`; each is logged once, when it arises.

        Returns:
            Whether the version or the withdrawals changed.
        """
        with self._swap:
            before = self._status.fault
            changed = self._followed()
            if self._status.fault not in (None, before):
                LOG.warning("channel %s is not followed: %s", self._channel, self._status.fault)
            return changed

    def _followed(self) -> bool:
        """Serve what the channel points to, and note in the status why that is not possible."""
        try:
            digest, withdrawn = self._withdraw()
            taken = self._take(digest)
            if taken:  # opening takes time, in which more may have been withdrawn
                self._withdraw()
        except Exception as error:  # whatever a store or a version does, the next check must take place
            self._status = replace(self._status, refused=None, fault=_told(error))
            return False
        return withdrawn or taken

    def _withdraw(self) -> tuple[str, bool]:
        """Apply the channel's withdrawals to the served version; returns the digest that the channel points to, and
        whether the withdrawals changed."""
        digest, withdrawals = channels.opened(self._store, self._channel, None)
        if withdrawals == self._status.withdrawals:
            return digest, False
        reader = self._reader.under(read(self._store, withdrawals))
        warm(reader)
        self._reader, self._status = reader, replace(self._status, withdrawals=withdrawals)
        return digest, True

    def _take(self, digest: str) -> bool:
        """Serve a version if it is new and passes its checks; returns whether the version changed."""
        before = self._status
        if digest == before.digest:
            self._status = replace(before, refused=None, fault=None)
            return False
        if digest == before.refused and time.monotonic() < self._again:
            return False
        try:
            reader, published_at = self._opened(digest, self._reader.withdrawals), self._published_at(digest)
        except (StoreError, OSError):
            raise  # of the store, not of the version
        except Exception as error:
            self._pause_s = min(2 * self._pause_s, LONGEST_S) if digest == before.refused else FIRST_S
            self._again = time.monotonic() + self._pause_s
            self._status = replace(before, refused=digest, fault=_told(error))
            return False
        self._reader = reader
        self._status = Status(digest, published_at, before.swaps + 1, None, None, before.withdrawals)
        return True

    async def ask(self, question: Callable[[Reader], Result]) -> Result:
        """Call the reader in another thread, for asyncio: `await live.ask(lambda reader: reader.similar("42", 10))`.

        Args:
            question: Called with the served version.

        Returns:
            What it returns.
        """
        return await asyncio.to_thread(question, self._reader)

    def close(self) -> None:
        """Stop following the channel; `reader` stays usable."""
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
        """Open a version and build everything that is built lazily, so that no request waits for it."""
        plain = Reader.open_bundle(fetch(self._store, digest), check=False, now=self._now)  # checked by fetch
        reader = plain.under(withdrawals)
        warm(reader)  # raises BundleError where all files are intact, but don't fit each other
        return reader

    def _published_at(self, digest: str) -> str | None:
        """None also if the record is damaged: it is stored next to the version, which is complete without it."""
        try:
            published_at = channels.lineage(self._store, digest)["published_at"]
            return published_at if datetime.fromisoformat(published_at).tzinfo else None
        except StoreUnreachable:
            raise
        except (StoreError, KeyError, TypeError, ValueError):
            return None


def _told(error: Exception) -> str:
    """An error as it stands in the status; what nobody foresaw with its kind."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _follow_on(live: LiveReader | None) -> None:
    if live is not None:
        live.after_fork()


def warm(reader: Reader) -> None:
    """Call each kind of request once, so that everything that is built lazily is built."""
    reader.facets.load()
    some = list(reader.items.ids[:2])
    reader.recommend(k=10)
    reader.recommend(history=some, k=10, reasons=True)
    reader.search("a", 1)
    if some:
        reader.similar(some[0], 1)
