"""The report of a run: one self-contained HTML page."""

from __future__ import annotations

import re
from pathlib import Path

from nightreel.report.markup import Markup, anchor, tag, text
from nightreel.report.paths import report_path
from nightreel.report.run_files import RunFacts, read_facts
from nightreel.report.section_list import SECTIONS
from nightreel.report.sections import decision
from nightreel.report.style import css

HEADING = re.compile("<h2>([^<]*)</h2>")


def page(facts: RunFacts) -> str:
    """Return the whole document; sections without data are omitted."""
    title = f"Nightreel run {facts.recipe[:12]}"
    head = f"{facts.source.get('name') or 'Nightreel'}: nightly report"
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
    """Write the report of a run.

    Args:
        data: The run's data folder.
        state: The state directory.
        stages: The pipeline's stages, in order.

    Returns:
        The path of the page, named after the run's recipe.
    """
    facts = read_facts(data, state / "notes", stages)
    path = report_path(state, facts.recipe)
    path.parent.mkdir(parents=True, exist_ok=True)
    working = path.with_name(f".{path.name}.partial")
    working.write_text(page(facts), "utf-8")
    working.rename(path)
    return path
