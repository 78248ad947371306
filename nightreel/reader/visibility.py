"""Which items may be shown at a given time, and how rules reorder them.

Every method of a reader uses this module and nothing else. Rights and rules follow the machine's clock or the caller's
time. Results are cached for each interval in which nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nightreel.bundle.editorial_rules import InForce, RuleTable
from nightreel.bundle.item_table import ItemTable, Mask

KEPT = 4  # stretches of time that are kept worked out: a byte an item each
Span = tuple[int, int]
"""Numbers of the stretches of time in which the same items are hidden, and in which the same rules hold."""


@dataclass(frozen=True, eq=False)
class Standing:
    """At one instant.

    Attributes:
        instant: Epoch seconds.
        hidden: [n] whether an item may not be shown, for whatever reason; read-only.
        any_hidden: Whether there is such an item.
        ruled: The rules that hold, None for none.
        stored: Whether the lists that were computed with the version hold everything that may be shown.
        beyond: Whether they hold something that may not.
    """

    instant: float
    hidden: Mask
    any_hidden: bool
    ruled: InForce | None
    stored: bool
    beyond: bool

    @property
    def out(self) -> Mask | None:
        """[n] `hidden`, None where all may be shown."""
        return self.hidden if self.any_hidden else None

    @property
    def reorders(self) -> bool:
        """Whether rules change the order of what may be shown."""
        return self.ruled is not None and self.ruled.reorders


@dataclass(frozen=True, eq=False)
class Standings:
    """items: with the rights that hold for them; rules: None for none; without: [n] items that the lists computed with
    the version were computed without."""

    items: ItemTable
    rules: RuleTable | None
    without: Mask
    _kept: dict[Span, Standing] = field(default_factory=dict)

    def span(self, instant: float) -> Span:
        """Names the stretch of time around an instant in which nothing changes."""
        return self.items.span(instant), 0 if self.rules is None else self.rules.span(instant)

    def at(self, instant: float) -> Standing:
        """What stands at an instant, epoch seconds; `Standing.instant` may be another one of the same stretch."""
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
