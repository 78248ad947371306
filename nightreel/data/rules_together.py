"""What the rules of a table hide together, at every time at which the rules in force change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.editorial_rules import ITEM, KINDS, comparable, general_languages, kind_and_name
from nightreel.data.ingest.casting import Mask, mask_of

MOST = 0.5
"""Share of the items that may be shown, hidden by rules, above which there is a warning."""
RESTRICTING = ("hide", "only", "audience_age")
Row = Mapping[str, Any]


class RulesTogether:
    """The restricting rules of a table over a catalogue.

    Args:
        rules: Rows of the table, in its order.
        items: Clean items.
        now: Epoch seconds; times before it don't count.
    """

    def __init__(self, rules: Sequence[Row], items: pa.Table, now: float = -np.inf) -> None:
        self.rules = {at: row for at, row in enumerate(rules) if row["rule"] in RESTRICTING}
        self.items, self.now = items, now
        blocked = items["blocked"] if "blocked" in items.column_names else None
        self.shown: Mask = np.ones(items.num_rows, bool) if blocked is None else ~mask_of(blocked)
        self._targets = {at: self._items_of(row["target"]) for at, row in self.rules.items()}

    def too_many(self) -> list[int]:
        """Rows of the table, in order, each of which would take the last item that may be shown, with those before."""
        marked: list[int] = []
        for _, own in self._in_force():
            if not self.shown.any() or self._left(own):
                continue
            kept: list[int] = []
            for at in own:
                if at not in marked and self._left([*kept, at]):
                    kept.append(at)
                elif at not in marked:
                    marked.append(at)
        return sorted(marked)

    def warning(self) -> str | None:
        """A warning if the rules hide most of the items at some time."""
        total = int(self.shown.sum())
        for since, own in self._in_force():
            left = self._left(own)
            if left < (1 - MOST) * total:
                when = f" from {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC on" if since > self.now else ""
                shown = f"{total - left:,} of {total:,} items{when}"
                return f"rules: together they hide {shown}. Check whether that is intended."
        return None

    def _in_force(self) -> list[tuple[float, list[int]]]:
        """(beginning, rows in force) of every span of time that is not over."""
        spans = {
            at: (_seconds(row["starts_at"], -np.inf), _seconds(row["ends_at"], np.inf))
            for at, row in self.rules.items()
        }
        begins = sorted({self.now, *(since for since, _ in spans.values() if since > self.now)})
        begins += [until for _, until in spans.values() if self.now < until < np.inf]
        return [
            (begin, own)
            for begin in sorted(set(begins))
            if (own := [at for at, (since, until) in spans.items() if since <= begin < until])
        ]

    def _left(self, rows: Sequence[int]) -> int:
        """Number of items that may be shown under these rules."""
        hidden = ~self.shown
        allowed: dict[str, Mask] = {}
        for at in rows:
            rule, targets = self.rules[at]["rule"], self._targets[at]
            if rule == "hide":
                hidden = hidden | targets
            elif rule == "only":
                kind = kind_and_name(self.rules[at]["target"])[0]
                allowed[kind] = allowed.get(kind, np.zeros(len(hidden), bool)) | targets
            else:
                hidden = hidden | ~mask_of(_at_most(self.items, self.rules[at]["value"]))
        for mask in allowed.values():
            hidden = hidden | ~mask
        return int((~hidden).sum())

    def _items_of(self, target: str | None) -> Mask:
        """[n] items that a target names."""
        kind, name = kind_and_name(target)
        if kind == ITEM:
            return np.array([id_ == name for id_ in self.items["item_id"].to_pylist()], bool)
        column = KINDS.get(kind, "")
        if column not in self.items.column_names:
            return np.zeros(self.items.num_rows, bool)
        return np.array([name in _labels(kind, cell) for cell in self.items[column].to_pylist()], bool)


def _labels(kind: str, cell: Any) -> set[str]:
    labels = [cell] if isinstance(cell, str) else cell or []
    if kind == "language":
        return {tag for label in labels for tag in general_languages(label)}
    return {comparable(label) for label in labels}


def _at_most(items: pa.Table, age: float | None) -> pa.Array:
    if age is None or "min_age" not in items.column_names:
        return pa.array([age is None] * items.num_rows)
    return pc.less_equal(items["min_age"].cast(pa.float64()), age)


def _seconds(moment: datetime | None, empty: float) -> float:
    return empty if moment is None else moment.timestamp()
