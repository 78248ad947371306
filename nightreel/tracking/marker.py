"""Checks whether a run is already in MLflow without importing it, so that an unchanged run is fast."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from nightreel.tracking.address import database_file

_RUN = """select r.artifact_uri from runs r join experiments e on e.experiment_id = r.experiment_id
          where r.run_uuid = ? and r.lifecycle_stage = 'active' and e.lifecycle_stage = 'active'"""
_VERSION = """select v.source from model_versions v
              join model_version_tags t on t.name = v.name and t.version = v.version
              where v.name = ? and t.key = 'nightreel.digest' and t.value = ?
              and v.current_stage != 'Deleted_Internal'"""


def path(state: Path, recipe: str) -> Path:
    """The marker file of a recorded recipe: its outcome, and its run in MLflow."""
    return state / "mlflow" / "recorded" / f"{recipe}.json"


def recorded(state: Path, wanted: dict[str, Any]) -> bool:
    """Whether this same outcome is in MLflow, by the marker file and, if MLflow uses a local database, by that.

    Args:
        state: The state directory.
        wanted: The marker's expected content, with `recipe`, `uri`, `experiment` and `model` (a digest or null).

    Returns:
        True if run, experiment, files and registered version exist; for a server, only the marker is checked.
    """
    try:
        found = json.loads(path(state, wanted["recipe"]).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    if {name: found.get(name) for name in wanted} != wanted:
        return False
    database = database_file(wanted["uri"])
    if database is None:
        return True
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=2.0)) as connection:
            run = connection.execute(_RUN, [found["run_id"]]).fetchone()
            values = [wanted["experiment"], wanted["model"]]
            version = connection.execute(_VERSION, values).fetchone() if wanted["model"] else ("",)
    except (sqlite3.Error, KeyError):
        return False
    return bool(run and version and _there(run[0]) and _there(version[0]))


def _there(place: str) -> bool:
    """Whether a local folder is not empty; other locations can't be checked and count as present."""
    parts = urlsplit(place)
    if parts.scheme not in ("", "file") or not parts.path:
        return True
    folder = Path(unquote(parts.path))
    return folder.is_dir() and any(folder.iterdir())
