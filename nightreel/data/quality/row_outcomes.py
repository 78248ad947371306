"""The outcome of every row of a table, by file and by day, and what a later night must know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.daily_files import DAY_MICROS, EPOCH
from nightreel.data.ingest.casting import Mask, mask_of
from nightreel.data.quality.row_checks import TOLD_TWICE

NO_DAY = int(np.iinfo(np.int64).min)
DUPLICATE = "duplicate"
OF_THE_CATALOGUE = ("unknown item", "item in quarantine")
"""Rules that an old row can violate later because the catalogue has changed."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowOutcomes:
    """Outcomes of a table's rows, except erased ones.

    files: names; file: [n] index of each row's file; row: [n] position in it, from 1; day: [n] days since 1970, NO_DAY
    if unknown; bad: [n] quarantined; quarantine: those rows, in order; last_rows: by file, erased rows included.
    """

    table: str
    files: tuple[str, ...]
    file: Ints
    row: Ints
    day: Ints
    bad: Mask
    quarantine: pa.Table
    last_rows: dict[str, int]

    @cached_property
    def spoilt(self) -> Mask:
        """[n] quarantined, and not only because another row says the same."""
        return self.bad & ~self._broke((DUPLICATE, TOLD_TWICE))

    @cached_property
    def own(self) -> Mask:
        """[n] invalid by the row itself, whatever the catalogue contains."""
        return self.spoilt & ~self._broke(OF_THE_CATALOGUE)

    @cached_property
    def by_day(self) -> dict[int, tuple[int, int]]:
        """Day → (rows, invalid ones), in order."""
        days, at = np.unique(self.day, return_inverse=True)
        rows, spoilt = np.bincount(at, minlength=len(days)), np.bincount(at[self.spoilt], minlength=len(days))
        return {int(day): (int(n), int(m)) for day, n, m in zip(days, rows, spoilt, strict=True)}

    def by_file(self, mask: Mask) -> Ints:
        """[files] number of rows of the mask [n] in each file."""
        return np.bincount(self.file[mask], minlength=len(self.files)).astype(np.int64)

    def _broke(self, rules: Sequence[str]) -> Mask:
        found = self.bad.copy()
        found[self.bad] = mask_of(pc.is_in(self.quarantine["rule"], pa.array(rules, pa.string())))
        return found


def row_outcomes(
    table: str, kept: pa.Table, clean: Mask, day: Ints | None, quarantine: pa.Table, typed: pa.Table
) -> RowOutcomes:
    """Outcomes of a table's rows, rejected rows first.

    Args:
        table: Its name.
        kept: Rows that could be typed and were not erased, with source_file and source_row.
        clean: [kept] rows that violate no rule.
        day: [kept] days since 1970 or NO_DAY; None if the table has no days.
        quarantine: schema.SET_ASIDE of all tables; of this one rejected rows first, then those of `kept` in order.
        typed: Every row that could be typed, erased ones included.

    Returns:
        One row for each rejected and each kept row.
    """
    own = quarantine.filter(pc.equal(quarantine["table"], table))
    rejected = own.slice(0, own.num_rows - int((~clean).sum()))
    names = pa.chunked_array([*rejected["source_file"].chunks, *kept["source_file"].chunks], pa.string())
    coded = names.combine_chunks().dictionary_encode()
    row = np.concatenate([part["source_row"].to_numpy() for part in (rejected, kept)]).astype(np.int64)
    known = np.full(kept.num_rows, NO_DAY) if day is None else day
    return RowOutcomes(
        table,
        tuple(coded.dictionary.to_pylist()),
        coded.indices.to_numpy().astype(np.int64),
        row,
        np.concatenate([np.full(rejected.num_rows, NO_DAY), known]),
        np.concatenate([np.ones(rejected.num_rows, bool), ~clean]),
        own,
        _last_rows(typed, own),
    )


def days_of(micros: Ints, plausible: Mask) -> Ints:
    """[n] days since 1970 of µs since 1970; NO_DAY if the time is not plausible."""
    return np.where(plausible, np.floor_divide(micros, DAY_MICROS), NO_DAY)


def named(day: int) -> str:
    """A day in ISO 8601; "" for NO_DAY."""
    return "" if day == NO_DAY else str(EPOCH + day)


def remembered(tables: Sequence[RowOutcomes]) -> dict[str, Any]:
    """What a later run must know of these rows; it is published with the version, in profile.json.

    Args:
        tables: Outcomes of their rows.

    Returns:
        {"files": {table: {file: [last row, invalid rows]}}, "days": {table: {day: [rows, invalid rows]}}}; the day is
            "" for rows without one.
    """
    files, days = {}, {}
    for each in tables:
        own = each.by_file(each.own).tolist()
        files[each.table] = {name: [each.last_rows[name], n] for name, n in zip(each.files, own, strict=True)}
        days[each.table] = {named(day): list(counts) for day, counts in each.by_day.items()}
    return {"files": files, "days": days}


def _last_rows(*parts: pa.Table) -> dict[str, int]:
    last: dict[str, int] = {}
    for part in parts:
        grouped = part.select(["source_file", "source_row"]).group_by("source_file").aggregate([("source_row", "max")])
        for found in grouped.to_pylist():
            last[found["source_file"]] = max(last.get(found["source_file"], 0), found["source_row_max"])
    return last
