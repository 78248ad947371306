"""One line for each new item: its events when lists were made, and how many of those who took it had it in theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from nightreel.evaluation.segments.reach_curve import expected

LINES = 30
"""Items shown: those that most people took."""


@dataclass(frozen=True)
class ItemStep:
    """An item in one step. events: when the lists were made; wanted, reached: of those who took it then; expected: at
    the rate of old items, None where some had no counterpart."""

    step: str
    events: int
    wanted: int
    reached: int
    expected: float | None


@dataclass(frozen=True)
class ItemLine:
    """A new item, in the steps in which somebody took it, in order of time.

    Attributes:
        item_id: Its id.
        steps: One for each step.
    """

    item_id: str
    steps: list[ItemStep]

    @property
    def wanted(self) -> int:
        """How often it was taken."""
        return sum(step.wanted for step in self.steps)

    @property
    def plays(self) -> int | None:
        """Its events when it first was ranked like an old item: its lists reached at least as many of those who took it
        as expected. None if none did, or nothing could be expected.

        Example:
            >>> ItemLine("a", [ItemStep("1", 0, 5, 0, 1.2), ItemStep("2", 3, 4, 1, 0.9)]).plays
            3
        """
        return next((step.events for step in self.steps if step.expected and step.reached >= step.expected), None)


def item_lines(rows: pa.Table, most: int = LINES) -> list[ItemLine]:
    """The new items that most people took.

    Args:
        rows: Of item_reach, steps in order of time.
        most: Number of items.
    """
    rows = rows.append_column("expected", pa.array(expected(rows)))
    rows = rows.filter(pc.and_(rows["new"], pc.greater(rows["wanted"], 0)))
    lines: dict[str, dict[str, ItemStep]] = {}
    for row in rows.select(["item_id", "step", "events", "wanted", "reached", "expected"]).to_pylist():
        steps = lines.setdefault(row["item_id"], {})
        before = steps.get(row["step"], ItemStep(row["step"], row["events"], 0, 0, 0.0))
        steps[row["step"]] = ItemStep(
            row["step"],
            row["events"],
            before.wanted + row["wanted"],
            before.reached + row["reached"],
            _sum(before.expected, row["expected"]),
        )
    found = [ItemLine(item, list(steps.values())) for item, steps in lines.items()]
    return sorted(found, key=lambda line: (-line.wanted, line.item_id))[:most]


def _sum(before: float | None, more: float) -> float | None:
    """NaN, and what it was added to, are None."""
    return None if before is None or math.isnan(more) else before + more
