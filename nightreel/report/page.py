"""The report of a run: one HTML page that needs nothing else, neither a server nor a network."""

from __future__ import annotations

import re
from pathlib import Path

from nightreel.report.markup import Markup, anchor, tag, text
from nightreel.report.run_files import RunFacts, read_facts
from nightreel.report.section_list import SECTIONS
from nightreel.report.sections import decision
from nightreel.report.style import css

HEADING = re.compile("<h2>([^<]*)</h2>")


def page(facts: RunFacts) -> str:
    """The whole document; parts of which nothing is known are left out."""
    title = f"Nightreel run {facts.recipe[:12]}"
    head = f"{facts.source.get('name') or 'Nightreel'}: report of a night"
    parts = [part(facts) for part in SECTIONS]
    links = [tag("a", Markup(name), href=f"#{anchor(name)}") for part in parts for name in HEADING.findall(part)]
    body = [
        tag("header", tag("p", title, class_="kicker"), tag("h1", head), decision.verdict(facts)),
        tag("nav", *links, aria_label="Sections") if links else "",
        tag("main", *parts),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{css()}</style></head><body>{''.join(body)}</body></html>\n"
    )


def write_report(data: Path, state: Path, stages: tuple[str, ...]) -> Path:
    """Make the page of the run whose files are in `data`; returns where it is, by recipe, in the state directory."""
    facts = read_facts(data, state / "notes", stages)
    path = report_path(state, facts.recipe)
    path.parent.mkdir(parents=True, exist_ok=True)
    working = path.with_name(f".{path.name}.partial")
    working.write_text(page(facts), "utf-8")
    working.rename(path)
    return path


def report_path(state: Path, recipe: str) -> Path:
    """Where the report of a recipe is kept."""
    return state / "reports" / f"{recipe}.html"
