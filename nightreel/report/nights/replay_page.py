"""The page of a replay: the lists of every night, judged by what people did after it, beside two baselines, and the
first recipe where it was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightreel.durations import in_words
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.segments.new_item_lines import ItemLine
from nightreel.evaluation.segments.reach_curve import ReachPoint
from nightreel.report.charts import interval, span
from nightreel.report.document import document
from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.night_chart import NightPoint, night_chart
from nightreel.report.sections.new_items import NewItemFacts, new_items_section

SIGNS = {"promote": "good", "failed": "bad", "missed": "bad"}
METRIC = "NDCG@10"


@dataclass(frozen=True)
class ReplayFacts:
    """What the page shows.

    Attributes:
        source: Name of the log.
        step: Time from one night to the next, in words.
        rows: A row for each night, see nightreel.replay.result_files; `night` is an ISO time.
        intervals: 95% interval of the served lists' quality for each night; None without users.
        own: The column of the served lists.
        beside: Column → name of what they are compared with.
        means: Over all nights, by column; empty if nothing was served.
        differences: The served lists minus each baseline, by its column.
        new_items: How far new items reach, by their events, against old ones.
        item_lines: New items that many people took.
        titles: Of items, by id.
    """

    source: str
    step: str
    rows: Sequence[Mapping[str, Any]]
    intervals: Sequence[Interval | None]
    own: str
    beside: Mapping[str, str]
    means: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    new_items: Sequence[ReachPoint] = ()
    item_lines: Sequence[ItemLine] = ()
    titles: Mapping[str, str] = field(default_factory=dict)


def page(facts: ReplayFacts) -> str:
    """Return the whole document."""
    n = len(facts.rows)
    first, last = (str(facts.rows[at]["night"])[:10] for at in (0, -1))
    kicker = f"Nightreel replay of {facts.source}"
    heading = f"{n} night{'' if n == 1 else 's'}, {first} to {last}"
    return document(kicker, heading, _top(facts), [_chart(facts), _compared(facts), _new_items(facts), _nights(facts)])


def _top(facts: ReplayFacts) -> Markup:
    said = f"Each night's lists are judged by what people took in the {facts.step} after it and had not met before."
    tiles = [(f"{facts.means[facts.own].point:.4f}", f"{METRIC}, mean of the nights")] if facts.means else []
    for name, gap in facts.differences.items():
        base = facts.means[name].point
        tiles.append((f"{gap.point / base:+.0%}" if base else "", f"against {facts.beside[name]}"))
    decided = [str(row["decision"]) for row in facts.rows]
    tiles.append((f"{decided.count('promote')} of {len(decided)}", "nights promoted a new version"))
    drawn = [tag("div", tag("b", value), tag("span", what), class_="tile") for value, what in tiles]
    return tag("div", tag("p", said), tag("div", *drawn, class_="tiles"))


def _chart(facts: ReplayFacts) -> Markup:
    points = [
        NightPoint(
            str(row["night"])[5:10],
            row[facts.own],
            (found.low, found.high) if found else None,
            {name: row.get(column) for column, name in facts.beside.items()},
            SIGNS.get(str(row["decision"]), "same"),
            f"{str(row['night'])[:10]}: {_happened(row)}",
        )
        for row, found in zip(facts.rows, facts.intervals, strict=True)
    ]
    chart = night_chart(points, METRIC, "served lists")
    return section("Quality by night", tag("div", chart, class_="chart")) if chart else Markup("")


def _happened(row: Mapping[str, Any]) -> str:
    """What came of the night, with what was done to it."""
    troubles = ", ".join(row.get("troubles") or ())
    return f"{row.get('outcome') or row['decision']}{f', after {troubles}' if troubles else ''}"


def _compared(facts: ReplayFacts) -> Markup:
    scale = span([(gap.low, gap.high) for gap in facts.differences.values()], 0.0)
    rows = [
        [
            facts.beside[name],
            f"{facts.means[name].point:.4f}",
            f"{gap.point:+.4f}",
            f"{gap.low:+.4f} to {gap.high:+.4f}",
            interval(gap.low, gap.point, gap.high, scale, 0.0),
        ]
        for name, gap in facts.differences.items()
    ]
    note = "Differences are paired by user over all nights; every night has the same weight."
    head = ["compared with", f"its {METRIC}", "difference", "95% interval", ""]
    return section("Compared", table(head, rows, (1, 2, 3)), caption(note)) if rows else Markup("")


def _new_items(facts: ReplayFacts) -> Markup:
    new = "Without a positive event before the first night"
    return new_items_section(NewItemFacts(facts.new_items, facts.item_lines, facts.titles, new, "night"))


def _nights(facts: ReplayFacts) -> Markup:
    rows = [
        [
            str(row["night"])[:16].replace("T", " "),
            _happened(row),
            (row["version"] or "none")[:12],
            f"{row['users']:,}",
            *("" if row.get(name) is None else f"{row[name]:.4f}" for name in (facts.own, *facts.beside)),
            in_words(row["seconds"]),
        ]
        for row in facts.rows
    ]
    head = ["night, UTC", "outcome", "serving", "users", "served lists", *facts.beside.values(), "took"]
    numbers = tuple(range(3, 5 + len(facts.beside) + 1))
    return section("Nights", table(head, rows, numbers, [row["reason"] or "" for row in facts.rows]))
