"""Updates MLflow's database after the state directory was moved, since MLflow stores artifact paths as absolute."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nightreel.stage import write_json

MARK = "place.json"
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
    ("trace_tags", "value"),
)


def follow(state: Path, database: Path, patience: float) -> str | None:
    """Rewrite the artifact paths below the state directory's former folder. The caller must hold the lock.

    Args:
        state: The current state directory.
        database: MLflow's SQLite file, in the state directory or elsewhere.
        patience: Seconds to wait for another process that uses the database.

    Returns:
        One line that says what was done; None if nothing was.

    Raises:
        sqlite3.Error: The database can't be read or written.
    """
    here = state / "mlflow"
    summary = None
    if database.is_file():
        with closing(sqlite3.connect(database, timeout=patience)) as connection, connection:
            moved = [old for old in _earlier(connection, here) if _ours(old, here, database)]
            rewritten = sum(_rewrite(connection, old, here) for old in moved)
        if rewritten:
            before = ", ".join(str(old) for old in moved)
            summary = f"the state directory was moved from {before}: updated {rewritten} of MLflow's paths to {here}"
    if _marked(here) != here:
        write_json(here / MARK, {"folder": str(here)})
    return summary


def _earlier(connection: sqlite3.Connection, here: Path) -> list[Path]:
    """The folder's former paths: from the marker file, or else (after an earlier release) from the experiments."""
    marked = _marked(here)
    if marked is not None:
        return [marked] if marked != here else []
    with contextlib.suppress(sqlite3.OperationalError):  # a database without tables, which MLflow will make
        query = """select distinct e.artifact_location, r.run_uuid from experiments e
                   left join runs r on r.experiment_id = e.experiment_id where e.artifact_location like 'file://%'"""
        return sorted(_moved_folders(connection.execute(query).fetchall(), here))
    return []


def _moved_folders(rows: list[tuple[str, str | None]], here: Path) -> set[Path]:
    """Folders `mlflow/artifacts` of experiments that no longer exist, or whose runs' files are here; others belong to
    other state directories."""
    found = set()
    for place, run in rows:
        folder = Path(unquote(urlsplit(place).path))
        if folder.parts[-2:] != ("mlflow", "artifacts") or folder.parent == here:
            continue
        if not folder.exists() or (run and (here / "artifacts" / run).is_dir()):
            found.add(folder.parent)
    return found


def _ours(old: Path, here: Path, database: Path) -> bool:
    """Whether the rows below `old` belong to this state directory; an external database may be shared with others."""
    return database.is_relative_to(here) or not old.exists()


def _rewrite(connection: sqlite3.Connection, old: Path, new: Path) -> int:
    """Rewrite addresses (file:///…) and plain paths; returns how many."""
    done = 0
    tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    for table, column in COLUMNS:
        if table not in tables:
            continue
        for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
            statement = (
                f"update {table} set {column} = ? || substr({column}, ?) "
                f"where {column} = ? or substr({column}, 1, ?) = ?"
            )
            values = (after, len(before) + 1, before, len(before) + 1, before + "/")
            done += connection.execute(statement, values).rowcount
    return done


def _marked(here: Path) -> Path | None:
    try:
        return Path(json.loads((here / MARK).read_text("utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
