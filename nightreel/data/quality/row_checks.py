"""Row checks of the contract on typed rows, vectorised: rows that violate a rule are marked for quarantine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.ids import GARBLED, GARBLED_ID
from nightreel.data.contract.tables import (
    CLOCK_BEGINS_S,
    EVENTS_TABLE,
    EVENTS_WITHOUT_ITEM,
    ITEMS,
    LONE_GAP_S,
    LONE_USERS,
    TAIL_GAP_S,
    TAIL_GAPS,
    TAIL_SHARE,
    USERS,
    VALUE_BOUNDS,
    Column,
    Table,
)
from nightreel.data.ingest.casting import mask_of
from nightreel.data.ingest.timestamps import MICROS
from nightreel.data.log_end import several
from nightreel.data.quality.violations import Mask, Violations

CLOCK = "outside the clock"
"""Rule for impossible timestamps."""
TOLD_TWICE = "impression told twice"
"""Rule for impressions of an item in a list that both the service and the page have logged: no fault of the data."""
MOJIBAKE = "[ÂÃâäåæçèéðñ][\u0080-\u00bfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]"


def mark_items(items: pa.Table) -> Violations:
    """Check a catalogue as snapshot wrote it."""
    marks = Violations(items.num_rows)
    mark_columns(marks, ITEMS, items)
    marks.mark(mask_of(pc.equal(pc.utf8_trim_whitespace(items["title"]), "")), "empty title", "title")
    marks.mark(mask_of(pc.less_equal(items["expires_at"], items["published_at"])), "impossible value", "expires_at")
    marks.mark(_repeated([items["item_id"]], marks.clean), "duplicate", "item_id")
    return marks


def mark_users(users: pa.Table) -> Violations:
    """Check the table of users as snapshot wrote it: of rows with the same id, the first counts."""
    marks = Violations(users.num_rows)
    mark_columns(marks, USERS, users)
    marks.mark(_repeated([users["user_id"]], marks.clean), "duplicate", "user_id")
    return marks


def mark_erasures(erasures: pa.Table) -> Violations:
    """Check erasure requests; duplicate requests are allowed."""
    marks = Violations(erasures.num_rows)
    marks.mark(mask_of(erasures["user_id"].is_null()), "empty cell", "user_id")
    return marks


def mark_events(events: pa.Table, clock: str, known: pa.Array, quarantined: pa.Array, window_s: float) -> Violations:
    """Check events as snapshot wrote them, sorted by day and source order.

    known: ids of clean items; quarantined: ids of quarantined items; window_s: see duplicate_window_s.
    """
    marks = Violations(events.num_rows)
    mark_columns(marks, EVENTS_TABLE, events)
    needs_item = ~mask_of(pc.is_in(events["event"], pa.array(EVENTS_WITHOUT_ITEM)))
    marks.mark(mask_of(events["item_id"].is_null()) & needs_item, "empty cell", "item_id")
    _mark_values(marks, events)
    times = events["timestamp"].to_numpy().astype(np.float64)
    if clock == "time":
        times /= MICROS
        marks.mark(times < CLOCK_BEGINS_S, CLOCK, "timestamp")
        marks.mark(times > newest_plausible(times[marks.clean]), CLOCK, "timestamp")
        alone = last_of_several(_codes(events["user_id"])[marks.clean], times[marks.clean])
        marks.mark(times > alone, CLOCK, "timestamp")
    foreign = ~mask_of(pc.is_in(events["item_id"], known)) & mask_of(events["item_id"].is_valid())
    marks.mark(foreign & mask_of(pc.is_in(events["item_id"], quarantined)), "item in quarantine", "item_id")
    marks.mark(foreign, "unknown item", "item_id")
    marks.mark(_told_twice(events, times, marks.clean), TOLD_TWICE, "slate_id")
    marks.mark(_repeated_events(events, times, marks.clean, window_s), "duplicate", "timestamp")
    return marks


def newest_plausible(times: npt.NDArray[np.float64]) -> float:
    """The last time (epoch seconds) before a gap that is too long: see contract.tables.TAIL_GAP_S."""
    if len(times) < 2:
        return np.inf
    ordered = np.sort(times)
    gaps = np.diff(ordered)
    last = int(np.ceil(len(ordered) * (1 - TAIL_SHARE))) - 1  # of the events that can't be the tail
    limit = max(TAIL_GAP_S, TAIL_GAPS * float(gaps[:last].max(initial=0.0)))
    wide = np.flatnonzero(gaps[last:] > limit)
    return float(ordered[last + wide[0]]) if len(wide) else np.inf


def last_of_several(users: npt.NDArray[np.int64], times: npt.NDArray[np.float64]) -> float:
    """The last time (epoch seconds) before a gap after which only a few users have events: see
    contract.tables.LONE_GAP_S; inf if there is none. users: [n] numbers."""
    n_users = len(np.unique(users))
    if n_users < LONE_USERS:
        return np.inf
    order = np.argsort(times, kind="stable")
    late_first = users[order][::-1]
    # The last events of too few users to define the end of the data: all after the k-th active user from the end.
    begins = np.sort(np.unique(late_first, return_index=True)[1])[several(n_users) - 1]
    gaps = np.diff(times[order])
    tail = len(order) - int(begins) - 1  # the gap before the first of these events
    limit = max(LONE_GAP_S, TAIL_GAPS * float(gaps[:tail].max(initial=0.0)))
    wide = np.flatnonzero(gaps[tail:] > limit)
    return float(times[order][tail + wide[0]]) if len(wide) else np.inf


def suspected_mojibake(cells: pa.ChunkedArray) -> list[int]:
    """Rows whose text looks like UTF-8 that was decoded as Latin-1 or Windows-1252 ("AmÃ©lie")."""
    hits = np.flatnonzero(mask_of(pc.match_substring_regex(cells, MOJIBAKE)))
    return [row for row in hits.tolist() if _decodes_again(cells[row].as_py())]


def _decodes_again(text: str) -> bool:
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8") != text
        except UnicodeError:
            continue
    return False


def mark_columns(marks: Violations, table: Table, rows: pa.Table) -> None:
    """Check each column by itself against the contract."""
    for column in (column for column in table.columns if column.name in rows.column_names):
        cells = rows[column.name]
        if column.filled:
            marks.mark(mask_of(cells.is_null()), "empty cell", column.name)
        for rule, faults in cell_faults(column, cells):
            marks.mark(faults, rule, column.name)


def cell_faults(column: Column, cells: pa.ChunkedArray | pa.Array) -> Iterator[tuple[str, Mask]]:
    """(rule of the contract, [n] cells that violate it) of a column by itself."""
    if column.kind in ("id", "text"):
        garbled = GARBLED_ID if column.kind == "id" else GARBLED if column.filled else "\x00"
        yield "encoding", mask_of(pc.match_substring_regex(cells, garbled))
    if column.choices:
        yield "unknown value", ~mask_of(pc.is_in(cells, pa.array([*column.choices, None], pa.string())))
    if column.pattern:
        yield "impossible value", mask_of(pc.invert(pc.match_substring_regex(cells, column.pattern)))
    for bound, below in ((column.low, pc.less), (column.above, pc.less_equal), (column.high, pc.greater)):
        if bound is not None:
            # In the column's own type: not every large whole number can be compared with a fraction.
            limit = pa.scalar(int(bound) if pa.types.is_integer(cells.type) else bound, cells.type)
            yield "impossible value", mask_of(below(cells, limit))


def _mark_values(marks: Violations, events: pa.Table) -> None:
    marks.mark(mask_of(pc.is_inf(events["value"])), "impossible value", "value")
    for event, (low, high) in VALUE_BOUNDS.items():
        outside = pc.or_(pc.less(events["value"], low), pc.greater(events["value"], high))
        marks.mark(mask_of(pc.and_(pc.equal(events["event"], event), outside)), "impossible value", "value")


def _codes(cells: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    coded = cells.combine_chunks().dictionary_encode(null_encoding="encode")
    codes: npt.NDArray[np.int64] = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _repeated(keys: list[pa.ChunkedArray], among: Mask) -> Mask:
    """[n] rows of `among` whose keys an earlier row of `among` has."""
    at = np.flatnonzero(among)
    group = _groups(keys)[at]
    first = at[np.unique(group, return_index=True)[1]]
    repeated = among.copy()
    repeated[first] = False
    return repeated


def _groups(keys: list[pa.ChunkedArray]) -> npt.NDArray[np.int64]:
    """[n] a number for each distinct combination of keys."""
    group = np.zeros(len(keys[0]), np.int64)
    for cells in keys:
        codes = _codes(cells)
        group = np.unique(group * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return group


def _told_twice(events: pa.Table, times: npt.NDArray[np.float64], among: Mask) -> Mask:
    """[n] impressions of an item in a list that another row tells, too: the first one with a propensity counts, else
    the first."""
    repeated = np.zeros(len(times), bool)
    if "slate_id" not in events.column_names:
        return repeated
    of_lists = pc.and_(pc.equal(events["event"], "impression"), events["slate_id"].is_valid())
    at = np.flatnonzero(among & mask_of(of_lists))
    own = events.select(["user_id", "item_id", "slate_id"]).take(pa.array(at))
    group = _groups(own.columns)
    named = "propensity" in events.column_names
    unknown = mask_of(events["propensity"].is_null())[at] if named else np.zeros(len(at), bool)
    order = np.lexsort((times[at], unknown, group))
    repeated[at[order[1:][np.diff(group[order]) == 0]]] = True
    return repeated


def _repeated_events(events: pa.Table, times: npt.NDArray[np.float64], among: Mask, window_s: float) -> Mask:
    """[n] events that repeat an earlier one of the same user, item and type (and text and list, if the source has
    them) within window_s seconds; ties keep the first in source order."""
    names = ["user_id", "item_id", "event", *[n for n in ("text_number", "slate_id") if n in events.column_names]]
    at = np.flatnonzero(among)
    group, moment = _groups([events[name] for name in names])[at], times[at]
    order = np.lexsort((moment, group))
    near = (np.diff(group[order]) == 0) & (np.diff(moment[order]) <= window_s)
    repeated = np.zeros(len(times), bool)
    repeated[at[order[1:][near]]] = True
    return repeated
