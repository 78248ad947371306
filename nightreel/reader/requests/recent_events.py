"""What users did since the version was made: kept in an embedded database, and part of their next request.

    recent = RecentEvents("recent.sqlite", key)
    recent.add([Event("148", "257", "dislike")])
    reader.recommend("148", k=10, recent=recent.of("148"))

SQLite in WAL mode: several processes read and write one file, and each sees at once what another has told. Users stand
in it under pseudonyms alone, and whatever is older than the retention is deleted.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightreel.data.contract import verdicts
from nightreel.data.contract.ids import id_fault
from nightreel.data.contract.tables import EVENTS, EVENTS_WITHOUT_ITEM, VALUE_BOUNDS
from nightreel.data.privacy import load_key, pseudonym
from nightreel.errors import UserError
from nightreel.reader.requests.sqlite_file import SqliteFile
from nightreel.stage import state_directory

LIKED = {"play": -math.inf, "like": -math.inf, "favorite": -math.inf, "share": -math.inf, "watch": 0.5, "rating": 3.0}
"""Events that count as newest events of the history, with the least value; without a value they count."""
DISLIKED = ("dislike", "skip")
SEEN = (*LIKED, "comment", "dislike", "skip")
"""Events after which an item is no longer new to the user."""
IMPRESSION = "impression"
RETENTION_S = 30 * 86_400.0
MOST_PAUSE_S = 3600.0  # between two deletions of old events
DELETED = 1000  # rows in one transaction, so that nobody who writes waits for long
MOST = 500  # newest events of a user that are read
TABLES = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, item TEXT NOT NULL, event TEXT NOT NULL, value REAL,
    time REAL NOT NULL);
CREATE INDEX IF NOT EXISTS of_user ON events (user, number);
CREATE INDEX IF NOT EXISTS by_time ON events (time);
CREATE TABLE IF NOT EXISTS told (id BLOB PRIMARY KEY, user TEXT NOT NULL, time REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS told_by_time ON told (time);
"""


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        user: User id.
        item: Item id.
        event: Type of event, as in the events table.
        value: Fraction watched (0 to 1) or rating (0.5 to 5); None if there is none.
        time: Epoch seconds; None: now.
        id: Identifies the event, so that it counts once however often it is told; None if it has none.
        slate: Id of the list that showed the item; None if there is none. An impression of an item in a list counts
            once, with and without an id.
    """

    user: str
    item: str
    event: str
    value: float | None = None
    time: float | None = None
    id: str | None = None
    slate: str | None = None

    def fault(self) -> str | None:
        """Why the events table would refuse it; None if it would not."""
        for name, text in (("user_id", self.user), ("item_id", self.item)):
            if fault := id_fault(text):
                return f"{name}: {fault}"
        if self.event not in EVENTS or self.event in EVENTS_WITHOUT_ITEM:
            return f"event: is {self.event!r}"
        if self.value is None:
            return None
        low, high = VALUE_BOUNDS.get(self.event, (-3e38, 3e38))
        if not low <= self.value <= high:
            bounds = f"{low:g} to {high:g}" if self.event in VALUE_BOUNDS else "a number of 32 bits"
            return f"value: is {self.value} for the event {self.event}; give {bounds}"
        return None


@dataclass(frozen=True)
class Recent:
    """One user's recent events as a request needs them; ids of items, oldest first.

    Attributes:
        liked: They count as the newest events of the history, with `times` (epoch seconds).
        times: One for each of `liked`.
        codes: One for each of `liked`: how, see nightreel.data.contract.verdicts.
        disliked: They are left out, and similar items move down.
        seen: They are left out where seen items are.
        revision: Grows with every change.
    """

    liked: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    codes: tuple[int, ...] = ()
    disliked: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    revision: int = 0


NOTHING = Recent()


class RecentEvents:
    """The database. Several threads and processes may use one file.

    Args:
        path: The file; it is created, readable by its owner alone. ":memory:" keeps everything in this process.
        key: Key of the pseudonyms.
        retention_s: Seconds after which an event no longer counts. It is deleted by the next `add` that comes after a
            tenth of this time, an hour at most, or by `forget_old`.
        now: Returns the current time in epoch seconds.

    Raises:
        UserError: The file can't be opened or written.

    Example:
        >>> recent = RecentEvents(":memory:", b"a key of one's own")
        >>> recent.add([Event("u000", "i004", "like"), Event("u000", "i006", "skip")])
        2
        >>> recent.of("u000").liked, recent.of("u000").disliked
        (('i004',), ('i006',))
        >>> skipped = reader.recommend("u000", k=10, recent=recent.of("u000"))
        >>> {"i004", "i006"} & {each.item_id for each in skipped}
        set()
    """

    def __init__(
        self,
        path: str | Path,
        key: bytes,
        *,
        retention_s: float = RETENTION_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        """See the class."""
        self._key, self._retention_s, self._now = key, retention_s, now
        self._pause_s, self._next = min(MOST_PAUSE_S, retention_s / 10), 0.0
        try:
            self._file = SqliteFile(str(path), TABLES)
            self.forget_old()
        except OSError as error:
            raise UserError(
                f"{path}: recent events can't be kept there ({error.strerror}). Give this user write access to a "
                "local folder, or name another file."
            ) from None

    def add(self, events: Sequence[Event], first: Callable[[list[Event]], None] | None = None) -> int:
        """Keep events, all or none.

        Args:
            events: The events.
            first: Called with those that are new, before they count; if it raises, nothing is kept.

        Returns:
            How many are new; others have an id that was told before.

        Raises:
            UserError: An event is none of the events table; the message names its place.
            OSError: The disk is full, or the file can't be written.
        """
        self.require_sound(events)
        now = self._now()
        if now >= self._next:
            self.forget_old()
        with self._file.open() as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                new = [each for each in events if self._is_new(database, each, now)]
                rows = [
                    (self._name(e.user), e.item, e.event, e.value, now if e.time is None else e.time)
                    for e in new
                    if e.event in SEEN
                ]
                database.executemany("INSERT INTO events (user, item, event, value, time) VALUES (?, ?, ?, ?, ?)", rows)
                if first is not None and new:
                    first(new)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        return len(new)

    @staticmethod
    def require_sound(events: Sequence[Event]) -> None:
        """Raise UserError, naming the place, for the first event that the events table would refuse."""
        for place, each in enumerate(events):
            if fault := each.fault():
                raise UserError(f"events.{place}.{fault}.")

    def of(self, user: str) -> Recent:
        """What a user did within the retention; `NOTHING` for whoever is not known."""
        wanted = "SELECT number, item, event, value, time FROM events WHERE user = ? AND time >= ? "
        wanted += "ORDER BY number DESC LIMIT ?"
        with self._file.open() as database:
            rows = database.execute(wanted, (self._name(user), self._now() - self._retention_s, MOST)).fetchall()
        return _recent(rows[::-1]) if rows else NOTHING

    def revision(self, user: str) -> int:
        """A number that grows with each of a user's events; 0 for whoever has none. Takes microseconds."""
        with self._file.open() as database:
            (last,) = database.execute("SELECT max(number) FROM events WHERE user = ?", (self._name(user),)).fetchone()
        return int(last or 0)

    def erase(self, users: Collection[str], *, pseudonyms: bool = False) -> int:
        """Delete everything about users.

        Args:
            users: Their ids.
            pseudonyms: Whether these are pseudonyms already.

        Returns:
            The number of deleted events.
        """
        names = [(name if pseudonyms else self._name(name),) for name in users]
        with self._file.open() as database:
            before = database.total_changes
            database.execute("BEGIN IMMEDIATE")
            database.executemany("DELETE FROM events WHERE user = ?", names)
            gone = database.total_changes - before
            database.executemany("DELETE FROM told WHERE user = ?", names)
            database.execute("COMMIT")
            if gone:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    @property
    def pause_s(self) -> float:
        """Seconds between two deletions of old events: a tenth of the retention, an hour at most."""
        return self._pause_s

    def forget_old(self) -> None:
        """Delete what is older than the retention, whoever wrote it. Takes microseconds where there is nothing.

        Raises:
            OSError: The file can't be written.
        """
        self._next = self._now() + self._pause_s
        limit, gone = self._now() - self._retention_s, 0
        with self._file.open() as database:
            for table, key in (("events", "number"), ("told", "id")):
                some = f"SELECT {key} FROM {table} WHERE time < ? LIMIT {DELETED}"
                while (rows := database.execute(f"DELETE FROM {table} WHERE {key} IN ({some})", (limit,)).rowcount) > 0:
                    gone += rows
            if gone:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close this thread's connection."""
        self._file.close()

    def _name(self, user: str) -> str:
        return pseudonym(self._key, user)

    def _is_new(self, database: sqlite3.Connection, event: Event, now: float) -> bool:
        ids = [event.id] if event.id is not None else []
        if event.event == IMPRESSION and event.slate is not None:
            ids.append(f"{IMPRESSION}\x00{event.slate}\x00{event.item}")
        untold = [self._is_untold(database, event.user, each, now) for each in ids]  # all are noted
        return all(untold)

    def _is_untold(self, database: sqlite3.Connection, user: str, told: str, now: float) -> bool:
        # Keyed, since an id may hold the user's own.
        digest = hmac.new(self._key, f"{user}\x00{told}".encode(), hashlib.sha256).digest()[:16]
        done = database.execute("INSERT OR IGNORE INTO told VALUES (?, ?, ?)", (digest, self._name(user), now))
        return done.rowcount == 1


def _recent(rows: Sequence[tuple[int, str, str, float | None, float]]) -> Recent:
    """rows: number, item, event, value and time, oldest first. What was said last of an item counts."""
    liked: dict[str, tuple[float, int]] = {}
    disliked: dict[str, None] = {}
    for _, item, event, value, moment in rows:
        low = event == "rating" and value is not None and value <= verdicts.LOW
        if event in DISLIKED or low:
            liked.pop(item, None)
            disliked[item] = None
        elif event in LIKED and (value is None or value >= LIKED[event]):
            disliked.pop(item, None)
            liked.pop(item, None)
            liked[item] = moment, verdicts.code_of(event) if verdicts.favourable(event, value) else verdicts.NOTHING
    seen = tuple(dict.fromkeys(row[1] for row in rows))
    times, codes = (tuple(each) for each in zip(*liked.values(), strict=True)) if liked else ((), ())
    return Recent(tuple(liked), times, codes, tuple(disliked), seen, rows[-1][0])


def fault_of_id(text: str) -> str | None:
    """Why no event may hold an id; None if it may.

    Example:
        >>> fault_of_id("u1"), fault_of_id("u1\\n")
        (None, 'holds control characters')
    """
    return id_fault(text)


def pseudonym_key(folder: Path) -> bytes:
    """The key of the nights' pseudonyms; where this machine has none, one in the folder, which is created."""
    key = load_key(state_directory(), create=False) or load_key(folder, create=True)
    assert key is not None  # it was created
    return key
