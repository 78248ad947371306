"""The report of a run: one HTML page that needs nothing else, neither a server nor a network."""

from __future__ import annotations

from pathlib import Path

from tasks.report import judgement
from tasks.report.facts import RunFacts, read_facts
from tasks.report.markup import tag, text
from tasks.report.sections import SECTIONS
from tasks.report.style import css


def page(facts: RunFacts) -> str:
    """The whole document; parts of which nothing is known are left out."""
    title = f"Nightreel run {facts.recipe[:12]}"
    body = [tag("h1", title), judgement.verdict(facts), *(part(facts) for part in SECTIONS)]
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
