"""The report's section on data drift: changes since the last good snapshot and since training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.run_files import Row, RunFacts

STYLE = {"stop": "failed", "warning": "unsure", "not measured": "unsure", "steady": "passed", "info": ""}
ORDER = tuple(STYLE)
HEAD = ["compared with", "figure", "result", "details", "warns above", "stops above"]


def drift(facts: RunFacts) -> Markup:
    """Figures beyond their stop first, then warnings, then figures that could not be measured."""
    found: list[Row] = facts.documents.get("evaluate/drift", [])
    if not found:
        return Markup("")
    moved = sorted((each for each in found if each["state"] != "steady"), key=lambda each: ORDER.index(each["state"]))
    steady = [each for each in found if each["state"] == "steady"]
    explained = caption(
        "PSI: population stability index over the reference's bins. KS: largest distance between the two distribution "
        "functions. Differences that chance can explain give no warning. Only changes since the last good snapshot can "
        "stop a run, because training data are always older than the test's."
    )
    folded = tag("details", tag("summary", f"{len(steady)} steady figures"), table(HEAD, _rows(steady), (4, 5)))
    return section(
        "Data drift", table(HEAD, _rows(moved), (4, 5)) if moved else "", folded if steady else "", explained
    )


def _rows(changes: Sequence[Row]) -> list[list[Any]]:
    return [
        [
            each["against"],
            each["what"],
            tag("span", each["state"], class_=STYLE[each["state"]]),
            tag("div", each["text"], class_="wide"),
            _bound(each["warn"]),
            _bound(each["stop"]),
        ]
        for each in changes
    ]


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
