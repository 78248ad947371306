"""New items of a replay on the terminal: how far they reach, by the events that they had, against old items."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from nightreel.evaluation.segments.item_reach import FIRST
from nightreel.evaluation.segments.reach_curve import ReachPoint


def reach_table(points: Sequence[ReachPoint]) -> Table:
    """A row for each class of events.

    Args:
        points: The curve.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title_justify="left",
        title_style="bold",
        title=f"New items among the first {FIRST}, by their events before the night",
    )
    for name in ("events", "items", "taken", "reached", "expected", "ratio [95%]", "places"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in points:
        ratio = point.ratio
        table.add_row(
            point.label,
            f"{point.items:,}",
            f"{point.wanted:,}",
            f"{point.reached:,}",
            f"{point.expected:,.1f}",
            "–" if ratio is None else f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
            f"{point.places:.1%}",
        )
    return table
