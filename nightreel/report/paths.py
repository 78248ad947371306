"""Where the pages of a run are: known to who links them, without what writes them."""

from __future__ import annotations

from pathlib import Path


def report_path(state: Path, recipe: str) -> Path:
    """Return where the report of a recipe is stored."""
    return state / "reports" / f"{recipe}.html"


def understanding_path(state: Path, recipe: str) -> Path:
    """Return where the catalogue's page of a recipe is stored."""
    return state / "reports" / recipe / "understanding.html"
