"""Which items may be shown at a given time, and how rules reorder them.

Every method of a reader uses this module and nothing else. Rights and rules follow the machine's clock or the caller's
time. Results are cached for each interval in which nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nightreel.bundle.editorial_rules import InForce, RuleTable
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.data.histories import IntArray
from nightreel.models.top_k import TopK

KEPT = 4  # cached intervals: one byte per item each
Span = tuple[int, int]
"""Numbers of the intervals in which the same items are hidden and the same rules are in force."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Rights and rules in force at a given time.

    Attributes:
        instant: Epoch seconds.
        hidden: [n] whether an item may not be shown, for whatever reason; read-only.
        any_hidden: Whether there is such an item.
        ruled: The rules in force; None if there are none.
        stored: Whether the precomputed lists cover everything that may be shown.
        beyond: Whether they contain items that may not be shown.
    """

    instant: float
    hidden: Mask
    any_hidden: bool
    ruled: InForce | None
    stored: bool
    beyond: bool

    @property
    def out(self) -> Mask | None:
        """[n] `hidden`; None if all items may be shown."""
        return self.hidden if self.any_hidden else None

    @property
    def value(self) -> Mapping[str, float] | None:
        """What outcomes are worth by the rules in force; None where no rule says it."""
        return None if self.ruled is None else self.ruled.value

    @property
    def reorders(self) -> bool:
        """Whether rules change the order of the items that may be shown."""
        return self.ruled is not None and self.ruled.reorders


@dataclass(frozen=True, eq=False)
class Standings:
    """Rights and rules over time. items: with the rights in force; rules: None if there are none; without: [n] items
    that the precomputed lists leave out."""

    items: ItemTable
    rules: RuleTable | None
    without: Mask
    _kept: dict[Span, Standing] = field(default_factory=dict)

    def span(self, instant: float) -> Span:
        """Identifies the interval around a time in which nothing changes."""
        return self.items.span(instant), 0 if self.rules is None else self.rules.span(instant)

    def at(self, instant: float) -> Standing:
        """What is in force at a time, epoch seconds; `Standing.instant` may be another time of the same interval."""
        span = self.span(instant)
        try:
            return self._kept[span]
        except KeyError:
            found = self._worked_out(instant)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[span] = found
        return found

    def _worked_out(self, instant: float) -> Standing:
        hidden = self.items.hidden(instant)
        stored = not (self.without & ~hidden).any()
        ruled = None if self.rules is None else self.rules.in_force(instant)
        if ruled is not None and ruled.hidden is not None:
            hidden = hidden | ruled.hidden
        hidden.setflags(write=False)
        beyond = bool((hidden & ~self.without).any())
        return Standing(instant, hidden, bool(hidden.any()), ruled, stored, beyond)


def permitted(found: TopK, hidden: Mask, enough: int, again: Callable[[IntArray], TopK]) -> TopK:
    """Remove hidden items from lists. Only rows that have fewer than `enough` items left, although there are more, are
    computed again by `again`, which takes row numbers."""
    shown = (found.items >= 0) & ~hidden[found.items]
    order = np.argsort(~shown, axis=1, kind="stable")
    left = np.take_along_axis(shown, order, axis=1)
    items = np.where(left, np.take_along_axis(found.items, order, axis=1), -1)
    scores = np.where(left, np.take_along_axis(found.scores, order, axis=1), -np.inf)
    short = np.flatnonzero((found.items[:, -1] >= 0) & (shown.sum(axis=1) < enough))
    if len(short):
        anew = again(short)
        items[short], scores[short] = anew.items, anew.scores
    return TopK(items, scores)
