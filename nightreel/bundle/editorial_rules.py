"""Editorial rules of a version: which ones are in force at a given time, and their effect on its items.

Precedence: a hidden item stays hidden, even if it is pinned or boosted; `only` rows of one kind are alternatives, those
of different kinds must all match; the lowest age and the tightest cap apply; a pin beats a bury, a bury beats a boost;
of several boosts of one item the strongest applies; pins are ordered by their values, then by the table; of several
values of one outcome the last one in the table applies, and values of rules replace all of the version's own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.format import BundleError
from nightreel.bundle.item_facets import Facets
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.data.contract.editorial_rules import (
    ALL,
    ITEM,
    KINDS,
    NO_ITEMS,
    SHAPES,
    Target,
    items_by_target,
    kind_and_name,
)
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.data.histories import FloatArray, IntArray

BOOST, BURY = 0.5, -10.0  # added to a relevance between 0 and 1

FILE = "rules.parquet"
FACETS = {"genre": "genres", "creator": "creators", "language": "languages", "media_type": "media_types"}
KEPT = 4  # cached intervals: at most 9 bytes per item each


@dataclass(frozen=True)
class EditorialRule:
    """One row of the table. kind, name: its target; value: NaN for none; starts, ends: epoch seconds, -inf and inf for
    none."""

    rule: str
    kind: str
    name: str
    value: float
    starts: float
    ends: float

    @property
    def target(self) -> Target:
        """Kind and name."""
        return self.kind, self.name

    def __str__(self) -> str:
        """As in the table, with the name in comparable form: `hide genre:crime`."""
        named = self.name if self.kind == ITEM else f"{self.kind}:{self.name}"
        return f"{self.rule} {named}" if self.kind != ALL else self.rule


@dataclass(frozen=True)
class LabelCap:
    """At most `most` items of a list may share a label of a facet. label: only this one, in comparable form; None: each
    label."""

    facet: str
    label: str | None
    most: int


@dataclass(frozen=True, eq=False)
class InForce:
    """Effect of the rules in force. hidden: [n] items that may not be shown, None if there are none; pinned: item rows,
    first in this order; boosted: item rows that were named individually, strongest first; offset: [n] added to an
    item's relevance, None for no change; value: by outcome what one is worth, None where no rule says it."""

    hidden: Mask | None
    pinned: IntArray
    boosted: IntArray
    offset: FloatArray | None
    caps: tuple[LabelCap, ...]
    value: Mapping[str, float] | None = None

    @property
    def reorders(self) -> bool:
        """Whether they change the order of the items that may be shown."""
        return bool(len(self.pinned)) or self.offset is not None or bool(self.caps)


@dataclass(frozen=True, eq=False)
class RuleTable:
    """The rules of a version, in the table's order.

    The rules in force at a given time are found by bisection of their start and end times; their effect is computed
    once for each interval between these.
    """

    rows: tuple[EditorialRule, ...]
    items: ItemTable
    facets: Facets
    _kept: dict[int, InForce | None] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, items: ItemTable, facets: Facets) -> RuleTable | None:
        """Read from a bundle's folder; None if it has no rules. Raises BundleError for a rule that this release does
        not know: ignoring a rule that hides something would show it."""
        path = folder / FILE
        return cls.of(rows_of(pq.ParquetFile(path).read()), items, facets, str(path)) if path.exists() else None

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], items: ItemTable, facets: Facets, where: str) -> RuleTable | None:
        """Build from rows as `rows_of` returns them; None if there are none.

        Args:
            rows: In the table's order.
            items: Items for looking up targets.
            facets: The same items' labels.
            where: Name of the table in error messages.

        Raises:
            BundleError: A rule that this release does not know.
        """
        for unknown in (row["rule"] for row in rows if row["rule"] not in SHAPES):
            raise BundleError(f"{where}: unknown rule {unknown!r}. Use the Nightreel release that wrote it.")
        return cls(tuple(_rule(row) for row in rows), items, facets) if rows else None

    def span(self, instant: float) -> int:
        """Number, from 0, of the interval around a time (epoch seconds) in which the rules in force do not change."""
        return bisect_right(self._bounds, instant)

    def in_force(self, instant: float) -> InForce | None:
        """The rules in force at a time, epoch seconds; None if there are none."""
        span = self.span(instant)
        try:
            return self._kept[span]
        except KeyError:
            found = self._worked_out(span)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[span] = found
        return found

    @cached_property
    def _bounds(self) -> list[float]:
        """Start and end times, ascending; a rule includes its start and excludes its end."""
        return sorted({at for each in self.rows for at in (each.starts, each.ends) if np.isfinite(at)})

    def _worked_out(self, span: int) -> InForce | None:
        since = self._bounds[span - 1] if span else -np.inf
        rows = [each for each in self.rows if each.starts <= since < each.ends]
        if not rows:
            return None
        hidden = self._hidden(rows)
        offset = np.zeros(len(self.items))
        for each in (each for each in rows if each.rule == "boost"):
            offset[self._targets(each)] = np.maximum(offset[self._targets(each)], _strength(each))
        for each in (each for each in rows if each.rule == "bury"):
            offset[self._targets(each)] = BURY
        named = [each for each in rows if each.rule == "boost" and each.kind == ITEM]
        boosted = self._in_order(sorted(named, key=lambda each: -_strength(each)), hidden)
        pins = sorted((each for each in rows if each.rule == "pin"), key=lambda each: _last_without(each.value))
        return InForce(
            hidden if hidden.any() else None,
            self._in_order(pins, hidden),
            boosted[offset[boosted] > 0],
            offset if offset.any() else None,
            tuple(_cap(each) for each in rows if each.rule.startswith("max_per_")),
            {each.name: each.value for each in rows if each.rule == "value"} or None,
        )

    def _hidden(self, rows: list[EditorialRule]) -> Mask:
        hidden = np.zeros(len(self.items), bool)
        for each in (each for each in rows if each.rule == "hide"):
            hidden[self._targets(each)] = True
        for kind in KINDS:
            wanted = [each for each in rows if each.rule == "only" and each.kind == kind]
            if wanted:
                others = np.ones(len(self.items), bool)
                for each in wanted:
                    others[self._targets(each)] = False
                hidden |= others
        ages = [each.value for each in rows if each.rule == "audience_age"]
        return hidden | self.facets.unsuitable(min(ages, default=None))

    def _in_order(self, rows: list[EditorialRule], hidden: Mask) -> IntArray:
        """Rows of the items that rules name, each once, without hidden ones."""
        found = dict.fromkeys(int(i) for each in rows for i in self._targets(each) if not hidden[i])
        return np.array(list(found), np.int64)

    def _targets(self, rule: EditorialRule) -> IntArray:
        """Rows of the items that a rule names; empty if the version does not know them."""
        return self._named[rule.target]

    @cached_property
    def _named(self) -> dict[Target, IntArray]:
        found = items_by_target(
            {each.target for each in self.rows}, self.items.ids, lambda kind: getattr(self.facets, FACETS[kind])
        )
        return {target: np.array(rows, np.int64) for target, rows in found.items()}

    @cached_property
    def unmatched(self) -> tuple[EditorialRule, ...]:
        """Rules whose target is no item and no label of this version: they have no effect on it."""
        return tuple(each for each in self.rows if each.kind not in NO_ITEMS and not len(self._targets(each)))


def write(folder: Path, rules: pa.Table) -> None:
    """Write rules (RULES_SCHEMA); without rules the file is removed."""
    (folder / FILE).unlink(missing_ok=True)
    if rules.num_rows:
        pq.write_table(rules, folder / FILE)


def rows_of(rules: pa.Table) -> tuple[dict[str, Any], ...]:
    """A table of rules in JSON types: times in epoch seconds, null for none."""
    rows = rules.select(RULES_SCHEMA.names).to_pylist()
    return tuple(
        row | {name: row[name].timestamp() if row[name] else None for name in ("starts_at", "ends_at")} for row in rows
    )


def _rule(row: Mapping[str, Any]) -> EditorialRule:
    kind, name = kind_and_name(row["target"])
    value = np.nan if row["value"] is None else float(row["value"])
    starts, ends = row["starts_at"], row["ends_at"]
    return EditorialRule(
        str(row["rule"]), kind, name, value, -np.inf if starts is None else starts, np.inf if ends is None else ends
    )


def _strength(rule: EditorialRule) -> float:
    return BOOST if np.isnan(rule.value) else rule.value


def _last_without(value: float) -> float:
    return np.inf if np.isnan(value) else value


def _cap(rule: EditorialRule) -> LabelCap:
    facet = "creators" if rule.rule == "max_per_creator" else "genres"
    return LabelCap(facet, rule.name or None, int(rule.value))
