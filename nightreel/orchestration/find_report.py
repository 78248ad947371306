"""Finds the report of a run; stage `record` writes it to the state directory, named after the recipe."""

from __future__ import annotations

from pathlib import Path

from nightreel.errors import UserError
from nightreel.report.paths import report_path
from nightreel.stage import state_directory
from nightreel.store import channels
from nightreel.store.open import open_store


def find(version: str | None, at: str | None) -> Path:
    """Return the report of the run that made a version, or of the latest run.

    Args:
        version: A digest or its first characters; None for the latest run.
        at: The store; None for the default.

    Raises:
        UserError: There is no such report on this machine.
    """
    state = state_directory()
    if version is None:
        pages = sorted((state / "reports").glob("*.html"), key=lambda page: page.stat().st_mtime)
        if not pages:
            raise UserError(f"{state / 'reports'}: there is no report yet. Start a run: `nightreel run`.")
        return pages[-1]
    store = open_store(at)
    digest = channels.resolve(store, "live", version)
    page = report_path(state, str(channels.lineage(store, digest).get("recipe")))
    if not page.exists():
        raise UserError(
            f"the report of version {digest[:12]} is not on this machine. Open it in its MLflow run, or repeat the run "
            "here."
        )
    return page
