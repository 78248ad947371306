"""The report of a run: one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from nightreel.report.document import document, write
from nightreel.report.paths import report_path
from nightreel.report.run_files import RunFacts, read_facts
from nightreel.report.section_list import SECTIONS
from nightreel.report.sections import decision


def page(facts: RunFacts) -> str:
    """Return the whole document; sections without data are omitted."""
    heading = f"{facts.source.get('name') or 'Nightreel'}: nightly report"
    parts = [part(facts) for part in SECTIONS]
    return document(f"Nightreel run {facts.recipe[:12]}", heading, decision.verdict(facts), parts)


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
    write(page(facts), path)
    return path
