"""The report's section on data drift: changes since the last good snapshot and since training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightreel.report.markup import Markup, caption, explained, section, table, tag
from nightreel.report.run_files import Row, RunFacts

STYLE = {"stop": "failed", "warning": "unsure", "not measured": "unsure", "steady": "passed", "info": ""}
ORDER = tuple(STYLE)
AGAINST = {
    "last good snapshot": "snapshot of the last accepted night",
    "last good snapshot (new events)": "snapshot of the last accepted night (new events)",
    "training (test events)": "test events against training events",
}
WHAT = (
    (" of what is taken", " of consumed items"),
    (", taken", " (consumed items)"),
    (", catalogue", " (catalogue)"),
    ("content: nearness to the mean", "content embedding, cosine to the mean embedding"),
    ("content: direction ", "content embedding, principal component "),
)
"""Stored reference and names of drift statistics → their names in the report."""
HEAD = ["statistic", "result", "warns above", "stops above"]


def drift(facts: RunFacts) -> Markup:
    """Figures beyond their stop first, then warnings, then figures that could not be measured."""
    found: list[Row] = facts.documents.get("evaluate/drift", [])
    if not found:
        return Markup("")
    moved = sorted((each for each in found if each["state"] != "steady"), key=lambda each: ORDER.index(each["state"]))
    steady = [each for each in found if each["state"] == "steady"]
    note = caption(
        "PSI: population stability index over the reference's bins. KS: largest distance between the two distribution "
        "functions. Differences within sampling error give no warning. Only drift since the last good snapshot can "
        "stop a run; training and test events come from different periods anyway."
    )
    folded = tag(
        "details",
        tag("summary", f"{len(steady)} statistic{'' if len(steady) == 1 else 's'} without drift"),
        table(HEAD, _rows(steady), (2, 3)),
    )
    return section("Data drift", table(HEAD, _rows(moved), (2, 3)) if moved else "", folded if steady else "", note)


def _rows(changes: Sequence[Row]) -> list[list[Any]]:
    return [
        [
            explained(_named(each["what"]), f"{AGAINST.get(each['against'], each['against'])}: {_text(each)}"),
            tag("span", "no drift" if each["state"] == "steady" else each["state"], class_=STYLE[each["state"]]),
            _bound(each["warn"]),
            _bound(each["stop"]),
        ]
        for each in changes
    ]


def _text(change: Row) -> str:
    return str(change["text"]).removeprefix("not measured: ")


def _named(what: str) -> str:
    if what == "everything":
        return "all statistics"
    for stored, shown in WHAT:
        what = what.replace(stored, shown)
    return what


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
