"""The report's section with every metric of every slice."""

from __future__ import annotations

from nightreel.report.markup import Markup, caption, section, table
from nightreel.report.run_files import Row, RunFacts

RANKING = {"recall@10": "recall@10", "mrr@10": "MRR@10"}
BEYOND = {
    "coverage@10": "coverage",
    "novelty@10": "novelty",
    "diversity@10": "diversity",
    "serendipity@10": "serendipity",
    "popularity_lift@10": "popularity lift",
}


def everything(facts: RunFacts) -> Markup:
    """Ranking metrics with 95% intervals, then metrics beyond accuracy."""
    found: list[Row] = facts.report.get("slices", [])
    if not found:
        return Markup("")
    head = ["slice", "users", *RANKING.values(), *BEYOND.values()]
    rows = [
        [
            f"{each['by']}: {each['name']}",
            f"{each['users']:,}",
            *(_ranking(each["metrics"][name]) for name in RANKING),
            *(_figure(each["beyond"].get(name)) for name in BEYOND),
        ]
        for each in found
    ]
    explained = caption(
        "Metrics of the evaluated lists, with 95% intervals. Coverage is a share of the whole catalogue, so small "
        "slices have less. Hit rate, MAP, precision and F1 are in data/evaluate/report.json."
    )
    return section("Slice metrics", table(head, rows, tuple(range(1, len(head)))), explained)


def _ranking(found: Row) -> str:
    return f"{found['point']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
