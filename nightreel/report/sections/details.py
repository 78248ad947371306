"""The later sections of the report: curves, metrics beyond accuracy, cold start, data and cost."""

from __future__ import annotations

from collections.abc import Sequence

from nightreel.report.charts import Point, lines
from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.run_files import Row, RunFacts

BEYOND = {
    "coverage@10": ("coverage", ".1%"),
    "gini@10": ("Gini", ".3f"),
    "novelty@10": ("novelty, bits", ".2f"),
    "diversity@10": ("diversity", ".3f"),
    "serendipity@10": ("serendipity", ".4f"),
    "popularity_lift@10": ("popularity lift", "+.1%"),
    "miscalibration@10": ("miscalibration, nats", ".3f"),
}
NEEDS = {
    "serendipity@10": "popularity among the members",
    "miscalibration@10": "genres of the items",
    "diversity@10": "lists of at least two items",
    "popularity_lift@10": "histories",
}
"""Metric that may be missing → what it needs."""
TREES = "Tree ranker: validation NDCG@10 by number of trees"
TITLES = {"encoder": "Learning curve of the encoder", "curve": TREES}
RANKERS = {"weighted": "a weighted sum", "fusion": "reciprocal rank fusion"}
PROPERTIES = {
    "users": "users",
    "items": "items",
    "cold_item_share": "items without events",
    "events": "events",
    "begins": "first event",
    "ends": "last event",
    "clock": "timestamps",
    "positive": "events that count as positive",
    "positive_share": "positive events",
    "density": "density (user-item pairs with a positive event)",
    "exclude_seen": "lists leave out seen items",
    "gate": "split used by the gate",
    "test_users": "test users by split",
}
"""Fact of validate → its name in the report, in the report's order."""
SHARES = ("positive_share", "density", "cold_item_share")
STEPS = ("trees", "step", "epoch", "round", "iteration", "k")


def curves(facts: RunFacts) -> Markup:
    """Metrics by list length, and the training curves: one chart for each numeric column of each file."""
    gate = facts.verdict.get("gate")
    by_k = [row for row in facts.curves.get("by_k", []) if row.get("protocol") == gate]
    titles = {"ndcg": "NDCG", "recall": "Recall"}
    charts = [_by(by_k, name, title, gate) for name, title in titles.items()]
    for stem, rows in facts.curves.items():
        step = next((name for name in STEPS if rows and name in rows[0]), None)
        if stem == "by_k" or step is None:
            continue
        labels = [name for name in rows[0] if _number(rows[0][name]) is None]
        for name in [name for name in rows[0] if name != step and name not in labels]:
            series: dict[str, list[Point]] = {}
            for row in rows:
                line = series.setdefault(", ".join(row[label] for label in labels) or name, [])
                line.append((float(row[step]), float(row[name])))
            title = f"{TITLES.get(stem, stem)}: {name}" if stem != "curve" else TREES + _selected(facts)
            charts.append(_titled(title, lines(series, step, name.replace("ndcg", "NDCG"), from_zero=False)))
    return section("Curves", tag("div", *filter(None, charts), class_="charts")) if any(charts) else Markup("")


def _selected(facts: RunFacts) -> str:
    """A remark on the trees where another ranker was selected."""
    blend = facts.documents.get("finetune/choices", {}).get("blend", "trees")
    return "" if blend == "trees" else f" (not selected; the blend is {RANKERS.get(blend, blend + ' alone')})"


def long_tail(facts: RunFacts) -> Markup:
    """Coverage of the long tail, and the other metrics beyond accuracy."""
    models: Row = facts.report.get("protocols", {}).get(facts.verdict.get("gate"), {}).get("models", {})
    names = [name for name in BEYOND if any(name in each["beyond"] for each in models.values())]
    rows = [
        [model, *(format(each["beyond"][n], BEYOND[n][1]) if n in each["beyond"] else "not measured" for n in names)]
        for model, each in models.items()
    ]
    lacking = [
        f"{title} (needs {NEEDS.get(name, 'test users')})" for name, (title, _) in BEYOND.items() if name not in names
    ]
    tails: dict[str, Sequence[Point]] = {
        facts.served if name == "challenger" else name: [(x, y) for x, y in points]
        for name, points in facts.report.get("long_tail", {}).items()
    }
    chart = _titled(
        "Long tail: share of all recommendations that go to the most recommended items",
        lines(tails, "share of the catalogue, most recommended first", "share of all recommendations"),
    )
    explained = caption(
        "Coverage: share of the catalogue that is in any list. Gini: 0 if every item is recommended equally often, 1 "
        "if a single item takes every place. Novelty: how few users know the items; one bit more: half as many. "
        "Diversity: mean distance between two items of a list, 0 to 1. Serendipity: share of the ten places with a "
        "relevant item that is not in the popularity list. Popularity lift: how much more popular the lists are than "
        "the users' histories. Miscalibration: divergence of a list's genres from the history's; 0 is perfectly "
        "calibrated."
    )
    figures = table(["model", *(BEYOND[name][0] for name in names)], rows, range(1, len(names) + 1)) if rows else ""
    unmeasured = caption(f"Not measured: {', '.join(lacking)}.") if rows and lacking else ""
    return section("Beyond accuracy, top 10", figures, unmeasured, explained if rows else "", chart)


def newcomers(facts: RunFacts) -> Markup:
    """The cold-start segments: users and items with few or no events."""
    rows = [
        [row["what"], row["model"], f"{ndcg['point']:.4f}", f"{ndcg['low']:.4f}–{ndcg['high']:.4f}", row["users"]]
        for row in facts.cold
        for ndcg in [row["ndcg"]]
    ]
    head = ["segment", "model", "NDCG@10", "95% interval", "users"]
    explained = caption(
        "Users: the test users again, as if only their last events were known. Items without events are ranked by "
        "content among themselves, for each user and, as a control, in one list that is the same for all."
    )
    return section("Cold start", table(head, rows, (2, 3, 4)), explained) if rows else Markup("")


def accounting(facts: RunFacts) -> Markup:
    """Row counts before and after validation, and facts about the data."""
    tables: Row = facts.validated.get("tables", {})
    rows = [
        [name, *(f"{own[part]:,}" for part in ("in", "clean", "quarantined", "erased"))]
        for name, own in tables.items()
        if own["in"]  # the source has such a table
    ]
    described = facts.validated.get("facts", {})
    listed = [_fact(name, described[name]) for name in sorted(described, key=_place)]
    warned = [tag("li", warning) for warning in facts.validated.get("warnings", [])]
    return section(
        "Data",
        table(["table", "rows in", "clean", "quarantined", "erased"], rows, (1, 2, 3, 4)) if rows else "",
        tag("ul", *warned) if warned else "",
        tag("h3", "Properties of the clean data") if listed else "",
        table(["property", "value"], listed) if listed else "",
    )


def _place(name: str) -> int:
    """A fact's place in the table; those without a name of their own come last."""
    return list(PROPERTIES).index(name) if name in PROPERTIES else len(PROPERTIES)


def _fact(name: str, value: object) -> list[object]:
    """A fact's name and value for the reader."""
    if name == "clock":
        value = value == "time"
    if isinstance(value, bool):
        value = "yes" if value else "no"
    elif isinstance(value, float):
        value = f"{value:.4g}" if name not in SHARES else f"{value * 100:.4g}%"
    elif isinstance(value, int):
        value = f"{value:,}"
    return [PROPERTIES.get(name, name.replace("_", " ")), value]


def cost(facts: RunFacts) -> Markup:
    """Time and memory of each stage when it last ran on this machine, and what the bundle costs a reader."""
    rows = [[stage, f"{each['wall_seconds']:,.1f}", f"{each['peak_mb']:,.0f}"] for stage, each in facts.costs.items()]
    if rows:
        rows.append([tag("b", "total"), f"{sum(each['wall_seconds'] for each in facts.costs.values()):,.1f}", ""])
    explained = caption(
        "Time inside each stage, without process start-up; measured when it last ran. Stages taken from the cache take "
        "no time."
    )
    notes = facts.notes.get("refit", {})
    figures = {"latency_ms": "{:,.1f} ms per list", "memory_mb": "{:,.0f} MB of memory"}
    costs = [figures[name].format(notes[name]) for name in figures if name in notes]
    reader = tag("p", f"Reading the final bundle: {', '.join(costs)}.") if costs else ""
    return (
        section("Cost", table(["stage", "seconds", "peak MB"], rows, (1, 2)), explained, reader) if rows else Markup("")
    )


def _by(rows: Sequence[Row], name: str, label: str, gate: object) -> Markup:
    """A metric of every model by list length."""
    series: dict[str, list[Point]] = {}
    for row in rows:
        series.setdefault(row["model"], []).append((float(row["k"]), float(row[name])))
    return _titled(f"{label} by list length, {gate}", lines(series, "list length k", label))


def _titled(title: str, chart: Markup) -> Markup:
    return tag("div", tag("h3", title), chart, class_="chart") if chart else Markup("")


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None
