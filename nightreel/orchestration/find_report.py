"""Finds the report of a run: `record` made it and keeps it, by recipe, in the state directory."""

from __future__ import annotations

from pathlib import Path

from nightreel.errors import UserError
from nightreel.report.page import report_path
from nightreel.stage import state_directory
from nightreel.store import channels
from nightreel.store.open import open_store


def find(version: str | None, at: str | None) -> Path:
    """The page of the run that made a version (its digest or the beginning of it), or of the one that ended last.

    Raises UserError where there is none on this machine.
    """
    state = state_directory()
    if version is None:
        pages = sorted((state / "reports").glob("*.html"), key=lambda page: page.stat().st_mtime)
        if not pages:
            raise UserError(f"{state / 'reports'}: no run has left a report yet. Start one: `nightreel run`.")
        return pages[-1]
    store = open_store(at)
    digest = channels.resolve(store, "live", version)
    page = report_path(state, str(channels.lineage(store, digest).get("recipe")))
    if not page.exists():
        raise UserError(
            f"the report of {digest[:12]} is not on this machine. Take it from its run in MLflow, or run it again here."
        )
    return page
