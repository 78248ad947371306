"""Addresses of a run's HTML pages: MLflow's copy if its server is known, else the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nightreel.orchestration.project import Project
from nightreel.report.paths import report_path, understanding_path
from nightreel.stage import read_object

REPORT, UNDERSTANDING = "report", "catalogue"


def pages(project: Project) -> dict[str, str]:
    """Return name → address of each page of the run whose files are in the project; missing pages are omitted."""
    recipe = str(read_object(project.root / "data" / "snapshot" / "recipe.json").get("recipe", ""))
    recorded = read_object(project.state / "mlflow" / "recorded" / f"{recipe}.json")
    files = {REPORT: report_path(project.state, recipe), UNDERSTANDING: understanding_path(project.state, recipe)}
    return {name: _address(project.state, recorded, path) for name, path in files.items() if path.exists()}


def _address(state: Path, recorded: dict[str, Any], path: Path) -> str:
    given = str(recorded.get("uri", ""))
    server = given if given.startswith(("http://", "https://")) else read_object(state / "up.json").get("mlflow")
    if not server or "experiment_id" not in recorded:
        return path.as_uri()
    place = f"experiments/{recorded['experiment_id']}/runs/{recorded['run_id']}/artifacts/report/{path.name}"
    parts = urlsplit(str(server))  # without user and password, which an address may hold
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/#/{place}"
