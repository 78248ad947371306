"""A whole source, and the part of it that existed at a given time: the log that a replayed night starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import CLOCK_BEGINS_S, EVENTS_TABLE, with_named
from nightreel.data.ingest import timestamps
from nightreel.data.ingest.file_formats import read_source
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.sources import Source
from nightreel.data.quality.type_tables import Loaded, clock_of, load
from nightreel.data.quality.typed_file import moments_of
from nightreel.errors import UserError

Micros = npt.NDArray[np.int64]
ALWAYS, NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
SEVERAL = 3
"""Number of users with events up to the log's end, since a single user's clock may be wrong."""


@dataclass(frozen=True)
class SourceLog:
    """Every row of a source with the time from which it existed.

    source: its name, terms and fingerprint; raws: the files' unchanged rows; there_from: for each file [rows] µs since
    the epoch, ALWAYS, or NEVER for an event without a readable time; loaded: the typed tables.
    """

    source: Source
    raws: list[Raw]
    there_from: list[Micros]
    loaded: Loaded

    @property
    def begins(self) -> float:
        """Time of the first event, epoch seconds; times before 1990 are ignored as faulty."""
        stamps = self.loaded.events["timestamp"].to_numpy() / timestamps.MICROS
        return float(stamps[stamps >= CLOCK_BEGINS_S].min())

    @property
    def ends(self) -> float:
        """Time up to which several users have events, epoch seconds."""
        last = self.loaded.events.group_by("user_id").aggregate([("timestamp", "max")])["timestamp_max"]
        newest = np.sort(last.to_numpy())[-SEVERAL:]
        return float(newest[0]) / timestamps.MICROS

    def columns(self) -> dict[str, set[str]]:
        """Names of the columns that the source has, by table."""
        found: dict[str, set[str]] = {}
        for raw in self.raws:
            found.setdefault(raw.table, set()).update(raw.columns)
        return found

    def delivered(self, moment: float, nights: Sequence[float] = ()) -> dict[str, pa.Table]:
        """The source as it was at a given time, in the table contract.

        Events: those strictly before it. Items: those without a `published_at`, those published before it, and those
        with an event before it. A source has one row per item, so later changes to titles or blocks are already in it.
        Erasures: those requested before it, and those without a date. Users: those who signed up before it, and those
        without a date. Rules: all, since they have their own dates.
        Cells are not changed.

        Args:
            moment: Epoch seconds.
            nights: Times at which a new file of events begins, ascending; none: each file of the source stays one.

        Returns:
            Tables by their path below the source's folder, see `night_of`.
        """
        before, edges = round(moment * timestamps.MICROS), np.round(np.array(nights) * timestamps.MICROS)
        found = {}
        for number, (raw, there) in enumerate(zip(self.raws, self.there_from, strict=True)):
            table, known = pa.table(raw.columns), there < before
            step = (
                np.searchsorted(edges, there, side="right") if raw.table == EVENTS_TABLE.name else np.zeros(len(there))
            )
            for each in np.unique(step[known]).astype(int).tolist() or [0]:
                later = f"-night-{each + 1:04d}" if each else ""
                found[f"{raw.table}/{number:04d}{later}.parquet"] = table.filter(pa.array(known & (step == each)))
        return found


def night_of(path: str) -> int:
    """The number of the night for which a delivered file of events was new; 0 for what was there before the second.

    Example:
        >>> night_of("events/0000-night-0003.parquet"), night_of("events/0000.parquet")
        (3, 0)
    """
    found = re.search(r"-night-(\d{4})", path)
    return int(found[1]) if found else 0


def read(source: Source, *, clock: str, slices: Iterable[str], key: bytes | None) -> SourceLog:
    """Read a whole source.

    Args:
        source: The source.
        clock: `snapshot.clock`.
        slices: `evaluate.slices`: names the columns outside the contract to keep.
        key: Pseudonymises the users of the typed tables; None: they are not changed.

    Raises:
        UserError: A file is unreadable, or the source has no clock.
    """
    contract = with_named(slices)
    raws, unread = read_source(source, contract)
    if unread:
        raise UserError("\n".join(unread))
    loaded = load(raws, clock, key, contract)
    if loaded.clock != "time":
        raise UserError(
            f"{source.name}: `timestamp` is a position and not a time, so the log can't be cut at the same time for "
            "all users. Replay a log whose timestamps are times; if these are times, use --set snapshot.clock=time."
        )
    if not loaded.events.num_rows:
        raise UserError(f"{source.name}: no row of events is valid. `nightreel run --data` reports what is wrong.")
    unit, _ = clock_of([raw for raw in raws if raw.table == EVENTS_TABLE.name], clock)
    met = loaded.events.group_by("item_id").aggregate([("timestamp", "min")])
    return SourceLog(source, raws, [_there_from(raw, loaded, unit, met) for raw in raws], loaded)


def _there_from(raw: Raw, loaded: Loaded, unit: str, met: pa.Table) -> Micros:
    """[rows] time from which each of a file's rows existed. met: item_id, timestamp_min."""
    if raw.table == EVENTS_TABLE.name:
        reading = moments_of(raw, EVENTS_TABLE["timestamp"])
        micros, bad = timestamps.as_micros(reading, unit)
        return np.where(bad | ~(reading.dated | np.isfinite(reading.numbers)), NEVER, micros)
    if raw.table == "items":
        typed = rows_of(loaded.items, raw)
        known = pc.index_in(typed["item_id"], met["item_id"].combine_chunks())
        first = pc.fill_null(met["timestamp_min"].take(known), NEVER).to_numpy()
        return _aligned(raw, typed, np.minimum(_micros(typed["published_at"]), first))
    if raw.table == "erasures":
        typed = rows_of(loaded.erasures, raw)
        return _aligned(raw, typed, _micros(typed["requested_at"]))
    if raw.table == "users":
        typed = rows_of(loaded.users, raw)
        return _aligned(raw, typed, _micros(typed["signed_up_at"]))
    return np.full(len(raw.rows), ALWAYS)


def rows_of(table: pa.Table, raw: Raw) -> pa.Table:
    """The typed rows that came from a file, in its order."""
    return table.filter(pc.equal(table["source_file"], raw.file))


def _micros(cells: pa.ChunkedArray) -> Micros:
    """[n] µs since the epoch; ALWAYS for an empty cell."""
    micros: Micros = pc.fill_null(cells.cast(pa.int64()), ALWAYS).to_numpy()
    return micros


def _aligned(raw: Raw, typed: pa.Table, values: Micros) -> Micros:
    """[rows] of the file; a row that could not be typed always exists, so that every night quarantines it."""
    there = np.full(len(raw.rows), ALWAYS)
    there[np.searchsorted(raw.rows, typed["source_row"].to_numpy())] = values
    return there
