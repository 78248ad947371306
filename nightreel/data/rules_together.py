"""What the rules of a table hide together, at every time at which the rules in force change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightreel.data.arrow_columns import numbers
from nightreel.data.contract.editorial_rules import KINDS, items_by_target, kind_and_name
from nightreel.data.histories import FloatArray, IntArray
from nightreel.data.ingest.casting import Mask, mask_of

MOST = 0.5
"""Share of the items that may be shown, hidden by rules, above which there is a warning."""
RESTRICTING = ("hide", "only", "audience_age")
NO_ITEMS = np.empty(0, np.int64)
Row = Mapping[str, Any]


def labels_of(items: pa.Table, kind: str) -> Iterable[Iterable[str]]:
    """[n] labels of items for a kind of target; a missing column is empty."""
    if KINDS[kind] not in items.column_names:
        return [()] * int(items.num_rows)
    cells: list[Any] = items[KINDS[kind]].to_pylist()
    return [(cell,) if isinstance(cell, str) else cell or () for cell in cells]


class LeftItems:
    """The items that are left while restricting rules begin and end.

    Args:
        shown: [n] items that may be shown without rules.
        ages: [n] minimum ages, NaN where they are unknown.
    """

    def __init__(self, shown: Mask, ages: FloatArray) -> None:
        self._shown, self._ages = shown, ages
        self._hides = np.zeros(len(shown), np.int32)
        self._only: dict[str, tuple[int, npt.NDArray[np.int32]]] = {}
        self._limits: list[float] = []

    def change(self, rule: Row, named: IntArray, by: int) -> None:
        """Let a rule begin (`by` 1) or end (-1). named: rows of the items that it names."""
        if rule["rule"] == "hide":
            self._hides[named] += by
        elif rule["rule"] == "only":
            kind = kind_and_name(rule["target"])[0]
            count, allowed = self._only.get(kind, (0, np.zeros(len(self._shown), np.int32)))
            allowed[named] += by
            self._only[kind] = count + by, allowed
        elif by > 0:
            self._limits.append(rule["value"])
        else:
            self._limits.remove(rule["value"])

    @property
    def count(self) -> int:
        """Number of items that may be shown now."""
        left = self._shown & (self._hides == 0)
        for count, allowed in self._only.values():
            if count:
                left &= allowed > 0
        if self._limits:
            left &= self._ages <= min(self._limits)
        return int(left.sum())


class RulesTogether:
    """The restricting rules of a table over a catalogue.

    Args:
        rules: Rows of the table, in its order.
        items: Clean items.
        now: Epoch seconds; times before it don't count.
    """

    def __init__(self, rules: Sequence[Row], items: pa.Table, now: float = -np.inf) -> None:
        self.rules = {at: row for at, row in enumerate(rules) if row["rule"] in RESTRICTING}
        self.now = now
        blocked = items["blocked"] if "blocked" in items.column_names else None
        self.shown: Mask = np.ones(items.num_rows, bool) if blocked is None else ~mask_of(blocked)
        self._ages = _ages(items)
        targets = {kind_and_name(row["target"]) for row in self.rules.values()}
        ids = items["item_id"].to_pylist()
        named = items_by_target(targets, ids, lambda kind: labels_of(items, kind))
        self._named = {target: np.array(rows, np.int64) for target, rows in named.items()}

    def too_many(self) -> list[int]:
        """Rows of the table, in order, each of which would take the last item that may be shown, with those before."""
        marked: set[int] = set()
        while self.shown.any() and (rows := self._first_without_items(marked)):
            marked |= self._last(rows)
        return sorted(marked)

    def warning(self) -> str | None:
        """A warning if the rules hide more than MOST of the items at some time."""
        total = int(self.shown.sum())
        for since, _, left in self._spans():
            if total - left > MOST * total:
                when = f" from {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC on" if since > self.now else ""
                return (
                    f"rules: together they hide {total - left:,} of {total:,} items{when}. Check whether that is "
                    "intended."
                )
        return None

    def _first_without_items(self, without: Collection[int]) -> list[int]:
        """The rules that are in force at the first time at which nothing is left; empty if there is none."""
        return next((sorted(rows) for _, rows, left in self._spans(without) if not left), [])

    def _last(self, rows: Sequence[int]) -> set[int]:
        """Of rules in force at one time those that would leave nothing, with those before them."""
        left, marked = self._all_shown(), set[int]()
        for at in rows:
            self._change(left, at, 1)
            if not left.count:
                self._change(left, at, -1)
                marked.add(at)
        return marked

    def _spans(self, without: Collection[int] = ()) -> Iterator[tuple[float, Collection[int], int]]:
        """(beginning, rules in force, number of items left) of every span of time that is not over. without: rules that
        don't count."""
        changes: dict[float, list[tuple[int, int]]] = {}
        for at, row in self.rules.items():
            since, until = max(_seconds(row["starts_at"], -np.inf), self.now), _seconds(row["ends_at"], np.inf)
            if since < until and at not in without:
                changes.setdefault(since, []).append((1, at))
                changes.setdefault(until, []).append((-1, at))
        left, rows = self._all_shown(), set[int]()
        for moment in sorted(moment for moment in changes if moment < np.inf):
            for by, at in changes[moment]:
                self._change(left, at, by)
                (rows.add if by > 0 else rows.remove)(at)
            yield moment, rows, left.count

    def _all_shown(self) -> LeftItems:
        return LeftItems(self.shown, self._ages)

    def _change(self, left: LeftItems, at: int, by: int) -> None:
        row = self.rules[at]
        left.change(row, self._named.get(kind_and_name(row["target"]), NO_ITEMS), by)


def _ages(items: pa.Table) -> FloatArray:
    if "min_age" not in items.column_names:
        return np.full(items.num_rows, np.nan)
    return numbers(items["min_age"].cast(pa.float64()), np.nan)


def _seconds(moment: datetime | None, empty: float) -> float:
    return empty if moment is None else moment.timestamp()
