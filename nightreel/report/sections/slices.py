"""The report's section with every metric of every slice."""

from __future__ import annotations

from nightreel.report.markup import Markup, caption, section, table
from nightreel.report.run_files import Row, RunFacts

GROUPS = {
    "wanted item": "popularity of the test item",
    "user since": "user tenure",
    "pause before": "time since the previous event",
    "age of wanted item": "age of the test item",
}
NAMES = {"in the head": "head", "in the middle": "middle", "in the tail": "tail"}
"""Stored group and name of a slice → their names in the report."""
RANKING = {"recall@10": "recall@10", "mrr@10": "MRR@10"}
BEYOND = {
    "coverage@10": ("coverage", ".1%"),
    "novelty@10": ("novelty, bits", ".2f"),
    "diversity@10": ("diversity", ".3f"),
    "serendipity@10": ("serendipity", ".3f"),
    "popularity_lift@10": ("popularity lift", "+.1%"),
}
"""Metric → its name and format."""


def shown_slices(found: list[Row]) -> list[Row]:
    """Slices, or gaps between them, with their names in the report: head, middle, tail, then the others."""
    order = list(NAMES.values())
    renamed = [
        each
        | {"by": GROUPS.get(each["by"], each["by"])}
        | {key: NAMES.get(each[key], each[key]) for key in ("name", "best", "worst") if key in each}
        for each in found
    ]
    groups = list(dict.fromkeys(each["by"] for each in renamed))

    def place(each: Row) -> tuple[int, int]:
        known = each["by"] == GROUPS["wanted item"] and each.get("name") in order
        return groups.index(each["by"]), order.index(each["name"]) if known else len(order)

    return sorted(renamed, key=place)


def everything(facts: RunFacts) -> Markup:
    """Ranking metrics with 95% intervals, then metrics beyond accuracy."""
    found: list[Row] = shown_slices(facts.report.get("slices", []))
    if not found:
        return Markup("")
    head = ["slice", "users", *RANKING.values(), *(name for name, _ in BEYOND.values())]
    rows = [
        [
            f"{each['by']}: {each['name']}",
            f"{each['users']:,}",
            *(_ranking(each["metrics"][name]) for name in RANKING),
            *(_figure(each["beyond"].get(name), form) for name, (_, form) in BEYOND.items()),
        ]
        for each in found
    ]
    explained = caption(
        "Metrics of the evaluated lists, with 95% intervals; those beyond accuracy are explained below. Coverage is a "
        "share of the whole catalogue, so small slices have less. Hit rate, MAP, precision and F1 are in "
        "data/evaluate/report.json."
    )
    return section("Slice metrics", table(head, rows, tuple(range(1, len(head)))), explained)


def _ranking(found: Row) -> str:
    return f"{found['point']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _figure(value: float | None, form: str) -> str:
    return "not measured" if value is None else format(value, form)
