"""Drift of the data: what moved against the last good snapshot and against training; what is steady is folded away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightreel.report.markup import Markup, caption, section, table, tag
from nightreel.report.run_files import Row, RunFacts

STYLE = {"stop": "failed", "warning": "unsure", "not measured": "unsure", "steady": "passed", "told": ""}
ORDER = tuple(STYLE)
HEAD = ["against", "what", "result", "found", "warns above", "stops above"]


def drift(facts: RunFacts) -> Markup:
    """Stops first, then warnings, then what can't be measured."""
    found: list[Row] = facts.documents.get("evaluate/drift", [])
    if not found:
        return Markup("")
    moved = sorted((each for each in found if each["state"] != "steady"), key=lambda each: ORDER.index(each["state"]))
    steady = [each for each in found if each["state"] == "steady"]
    explained = caption(
        "PSI: population stability index over bins of the reference; KS: greatest distance of the two distribution "
        "functions. What chance alone may give is no warning. Only the last good snapshot can stop a run; training is "
        "always older than its test."
    )
    folded = tag("details", tag("summary", f"{len(steady)} figures are steady"), table(HEAD, _rows(steady), (4, 5)))
    return section(
        "Drift of the data", table(HEAD, _rows(moved), (4, 5)) if moved else "", folded if steady else "", explained
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
