"""Quality of new rows, by file and by day: a corrupt last day must not go unnoticed in a long log.

The share of invalid rows in the whole table falls as the log grows: after a year, a day on which four in five rows are
unusable is 2% of it. So every file and every day that is new since the last accepted night is also judged by itself:

- the last accepted night is the version with which the run is compared (data/snapshot/known.json, from its
  profile.json), so the data of a rejected night are judged again until they are corrected;
- of a file, the rows beyond those that were known; all of it if the file was rewritten and has more invalid rows;
- of a day, the rows added to it: a day that is delivered late is new, wherever it lies in time;
- in a first run, every file, and the last days that together hold `least` rows. An older day only causes a warning.

Duplicates are no corruption, so they count only in the whole table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightreel.data.ingest.casting import Mask
from nightreel.data.quality.row_outcomes import NO_DAY, RowOutcomes, named

SAME_LOG = 0.5
"""Minimum share of the rows of the last accepted night, by day or by file, that the present table must have to count
as the same log."""
Counts = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Part:
    """Rows that are judged together. where: in words, after "rows"; n, faults: number of rows and of invalid ones
    (of a day that has grown, only of the added rows); bad: returns [n of the table] which rows are invalid."""

    where: str
    n: int
    faults: int
    bad: Callable[[], Mask]

    @property
    def share(self) -> float:
        return self.faults / self.n if self.n else 0.0


def arrived(each: RowOutcomes, known: Mapping[str, Any] | None, least: int) -> list[Part]:
    """Parts of a table that are new since the last accepted night: days, files, then all new rows.

    Args:
        each: The table's rows.
        known: Result of `row_outcomes.remembered` of the last accepted night; None in a first run.
        least: See Validate.part_rows.

    Returns:
        The parts, the narrowest kind first; in a first run without "all new rows", which is the whole table.
    """
    days: Counts = known["days"].get(each.table, {}) if known else {}
    files: Counts = known["files"].get(each.table, {}) if known else {}
    if not _same_log(each, days, files):
        return [*_last_days(each, least), *_files(each, {})]
    new_days, new_files = _days(each, days), _files(each, files)
    dated = any(day != NO_DAY for day in each.by_day)
    came = [*new_days, *_undated(each, days)] if dated else new_files
    return [*new_days, *new_files, _together("added since the last accepted night", came)]


def spoilt_days(each: RowOutcomes, limit: float, least: int) -> list[Part]:
    """Every day of the log with at least `least` rows of which a share of more than `limit` is invalid."""
    found = (_day(each, day, *counts) for day, counts in each.by_day.items() if day != NO_DAY)
    return [part for part in found if part.n >= least and part.share > limit]


def _same_log(each: RowOutcomes, days: Counts, files: Counts) -> bool:
    """Whether the present table still has most of the known rows; counts of another source are not comparable."""
    if days.keys() - {""}:
        now, known = {named(day): counts[0] for day, counts in each.by_day.items()}, days
    else:
        now, known = each.last_rows, files
    before = {name: counts[0] for name, counts in known.items()}
    shared = sum(min(n, now.get(name, 0)) for name, n in before.items())
    return bool(before) and shared >= SAME_LOG * sum(before.values())


def _day(each: RowOutcomes, day: int, n: int, faults: int) -> Part:
    return Part(f"of {named(day)}", n, faults, lambda: each.spoilt & (each.day == day))


def _days(each: RowOutcomes, known: Counts) -> list[Part]:
    grown = []
    for day, (rows, faults) in each.by_day.items():
        before = known.get(named(day), (0, 0))
        more = rows - before[0]
        if day != NO_DAY and more > 0:
            grown.append(_day(each, day, more, min(max(faults - before[1], 0), more)))
    return grown


def _undated(each: RowOutcomes, known: Counts) -> list[Part]:
    """New rows without a valid date: all of them are invalid."""
    more = each.by_day.get(NO_DAY, (0, 0))[0] - known.get("", (0, 0))[0]
    return [Part("without a valid date", more, more, lambda: each.spoilt & (each.day == NO_DAY))] if more > 0 else []


def _last_days(each: RowOutcomes, least: int) -> list[Part]:
    """The fewest last days that together have `least` rows, as one part."""
    days: list[Part] = []
    for day in sorted((day for day in each.by_day if day != NO_DAY), reverse=True):
        days.append(_day(each, day, *each.by_day[day]))
        if sum(part.n for part in days) >= least:
            return days if len(days) == 1 else [_together(f"from {named(day)} on", days)]
    return []


def _files(each: RowOutcomes, known: Counts) -> list[Part]:
    last, faults = (np.array([known.get(name, (0, 0))[at] for name in each.files], np.int64) for at in (0, 1))
    new = each.row > last[each.file] if len(last) else np.zeros(0, bool)
    spoilt_new = new & each.spoilt
    rows, spoilt = each.by_file(new), each.by_file(spoilt_new)
    whole, own = each.by_file(np.ones(len(each.bad), bool)), each.by_file(each.own)
    parts = []
    for at, name in enumerate(each.files):
        if rows[at]:
            where = f"of {name}" if not last[at] else f"of {name} from row {last[at] + 1:,} on"
            parts.append(Part(where, int(rows[at]), int(spoilt[at]), _inside(each, at, spoilt_new)))
        elif own[at] > faults[at]:
            parts.append(Part(f"of {name}", int(whole[at]), int(own[at]), _inside(each, at, each.own)))
    return parts


def _inside(each: RowOutcomes, file: int, bad: Mask) -> Callable[[], Mask]:
    return lambda: bad & (each.file == file)


def _together(where: str, parts: Sequence[Part]) -> Part:
    n, faults = sum(part.n for part in parts), sum(part.faults for part in parts)
    return Part(where, n, faults, lambda: np.logical_or.reduce([part.bad() for part in parts]))
