"""The parts of the model card that the rest of the report does not show: use, limits, members and terms."""

from __future__ import annotations

from collections.abc import Sequence

from nightreel.report.markup import Markup, caption, section, table, tag, with_code
from nightreel.report.run_files import Row, RunFacts

KINDS = {"weighted": "a weighted sum", "trees": "gradient-boosted trees", "fusion": "reciprocal rank fusion"}


def model_card(facts: RunFacts) -> Markup:
    """Intended use, limits, members and terms of the data."""
    card: Row = facts.documents.get("evaluate/card", {})
    if not card:
        return Markup("")
    members = [
        [name, ", ".join(f"{key} {value:g}" for key, value in sorted(chosen.items()))]
        for name, chosen in card["recipe"]["members"].items()
    ]
    return section(
        "Model card",
        tag("h3", "Intended use"),
        _list(card["intended_use"]),
        tag("h3", "Out of scope"),
        _list(card["not_for"]),
        tag("h3", "Limits"),
        _list(card["limits"]),
        tag("h3", _combined(card["recipe"]["blend"])),
        table(["model", "selected parameters"], members),
        tag("h3", "Terms of the data"),
        tag("p", with_code(card["terms"])),
        caption(with_code("The complete card is in the bundle, as card.md and card.json; `nightreel card` prints it.")),
    )


def _combined(blend: str) -> str:
    return f"Models, combined by {KINDS[blend]}" if blend in KINDS else f"Models; the ranker is {blend} alone"


def _list(lines: Sequence[str]) -> Markup:
    return tag("ul", *(tag("li", with_code(line)) for line in lines))
