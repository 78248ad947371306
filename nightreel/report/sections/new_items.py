"""How far new items reach: by the events that they had, against old items, and one line for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.segments.item_reach import FIRST
from nightreel.evaluation.segments.new_item_lines import ItemLine, ItemStep
from nightreel.evaluation.segments.reach_curve import EVENTS, LEAST_EXPECTED, LEAST_ITEMS, ReachPoint, like_old_from
from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.night_chart import NightPoint, night_chart
from nightreel.report.run_files import RunFacts

TITLE = "New items"
OLD = "old items that as many people took"


@dataclass(frozen=True)
class NewItemFacts:
    """What the section shows. titles: by id; new: which items are new, in words; step: what the lists were made for."""

    points: Sequence[ReachPoint]
    lines: Sequence[ItemLine]
    titles: Mapping[str, str]
    new: str
    step: str


def new_items(facts: RunFacts) -> Markup:
    """The section of a run's report; empty where nothing was measured."""
    found = facts.documents.get("evaluate/new_items") or {}
    points = [
        ReachPoint(**{**each, "ratio": each["ratio"] and Interval(**each["ratio"])}) for each in found.get("curve", [])
    ]
    lines = [ItemLine(each["item_id"], [ItemStep(**step) for step in each["steps"]]) for each in found.get("lines", [])]
    new = "Without a positive event in training, so that what they have is of the validation period"
    return new_items_section(NewItemFacts(points, lines, found.get("titles", {}), new, "test period"))


def new_items_section(facts: NewItemFacts) -> Markup:
    """The section; empty where no new item was taken or shown."""
    if not facts.points:
        return Markup("")
    return section(TITLE, tag("p", conclusion(facts.points)), _chart(facts), _curve(facts), _lines(facts))


def conclusion(points: Sequence[ReachPoint]) -> str:
    """From how many events on new items are ranked like old ones, in a sentence.

    Example:
        >>> conclusion([])
        'Too few new items were taken to compare them with old ones.'
    """
    known = [point for point in points if point.ratio is not None]
    if not known:
        return "Too few new items were taken to compare them with old ones."
    events = like_old_from(points)
    if events is None:
        return (
            f"With {known[-1].label} events, the most that could be compared, new items are still reached less often "
            f"than {OLD}."
        )
    if events == known[0].events:
        return f"No new items, by the events that they had, are surely reached less often than {OLD}."
    return (
        f"From {events} event{'' if events == 1 else 's'} on, new items are not surely reached less often than {OLD}."
    )


def _chart(facts: NewItemFacts) -> Markup:
    points = [
        NightPoint(
            each.label,
            None if each.ratio is None else each.ratio.point,
            None if each.ratio is None else (each.ratio.low, each.ratio.high),
            {OLD: 1.0},
            "",
            f"{each.label} events: {each.reached:,} of {each.wanted:,}",
        )
        for each in facts.points
    ]
    chart = night_chart(points, "reached / expected", "new items, by their events", by="events", labels=len(EVENTS))
    return tag("div", chart, class_="chart") if chart else Markup("")


def _curve(facts: NewItemFacts) -> Markup:
    rows = [
        [
            each.label,
            f"{each.items:,}",
            f"{each.wanted:,}",
            f"{each.reached:,}",
            f"{each.expected:.1f} of {each.compared:,}",
            *(
                (f"{each.ratio.point:.2f}", f"{each.ratio.low:.2f} to {each.ratio.high:.2f}")
                if each.ratio is not None
                else ("", "")
            ),
            f"{each.places:.1%}",
            f"{each.taken:.1%}",
        ]
        for each in facts.points
    ]
    head = [
        f"events before the {facts.step}",
        "items taken",
        "interactions",
        f"in the first {FIRST}",
        "expected",
        "ratio",
        "95% interval",
        "share of places",
        "share of interactions",
    ]
    note = (
        f"{facts.new}. An interaction is a user and an item that they took. Expected: interactions that would be in "
        f"the first {FIRST} at the rate of old items which as many people took, among users who took as many items; "
        "interactions without such a counterpart are left out. The ratio is of the same interactions, its interval by "
        f"item; both are missing for fewer than {LEAST_ITEMS} items, or if fewer than {LEAST_EXPECTED:g} are expected."
    )
    return tag("div", table(head, rows, range(1, len(head))), caption(note))


def _lines(facts: NewItemFacts) -> Markup:
    rows = [
        [
            facts.titles.get(line.item_id, line.item_id),
            f"{line.wanted:,}",
            f"{sum(step.reached for step in line.steps):,}",
            "not yet" if line.plays is None else f"{line.plays:,}",
            " · ".join(f"{step.events:,}: {step.reached:,}/{step.wanted:,}" for step in line.steps),
        ]
        for line in facts.lines
    ]
    head = ["new item", "interactions", f"in the first {FIRST}", "events until as expected", f"by {facts.step}"]
    note = (
        f"The {len(rows)} new items that most people took. Events until as expected: what it had when lists first "
        "reached as many of those who took it as an old item's would. The last column: its events, and how many of its "
        "interactions were reached."
    )
    return tag("div", table(head, rows, (1, 2, 3)), caption(note)) if rows else Markup("")
