"""MLflow keeps the artifacts' places as absolute paths; here its rows follow a state directory that was moved."""

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
    """Rewrite the places that lie below the folder in which the state directory was before. Hold the lock meanwhile.

    Args:
        state: The state directory as it is now.
        database: MLflow's SQLite file, in the state directory or elsewhere.
        patience: Seconds to wait for another process that has the database in use.

    Returns:
        What was done, in a line; None where nothing had to be. Raises sqlite3.Error.
    """
    here = state / "mlflow"
    told = None
    if database.is_file():
        with closing(sqlite3.connect(database, timeout=patience)) as connection, connection:
            moved = [old for old in _earlier(connection, here) if _ours(old, here, database)]
            rewritten = sum(_rewrite(connection, old, here) for old in moved)
        if rewritten:
            before = ", ".join(str(old) for old in moved)
            told = f"the state directory was moved from {before}: MLflow's {rewritten} places now lie in {here}"
    if _marked(here) != here:
        write_json(here / MARK, {"folder": str(here)})
    return told


def _earlier(connection: sqlite3.Connection, here: Path) -> list[Path]:
    """Where the folder was, as it was written down; where an earlier release was at work, as the experiments say."""
    marked = _marked(here)
    if marked is not None:
        return [marked] if marked != here else []
    with contextlib.suppress(sqlite3.OperationalError):  # a database without tables, which MLflow will make
        query = """select distinct e.artifact_location, r.run_uuid from experiments e
                   left join runs r on r.experiment_id = e.experiment_id where e.artifact_location like 'file://%'"""
        return sorted(_told_by(connection.execute(query).fetchall(), here))
    return []


def _told_by(rows: list[tuple[str, str | None]], here: Path) -> set[Path]:
    """Folders `mlflow/artifacts` of experiments whose runs' files are here, or that are gone; others are somebody's."""
    found = set()
    for place, run in rows:
        folder = Path(unquote(urlsplit(place).path))
        if folder.parts[-2:] != ("mlflow", "artifacts") or folder.parent == here:
            continue
        if not folder.exists() or (run and (here / "artifacts" / run).is_dir()):
            found.add(folder.parent)
    return found


def _ours(old: Path, here: Path, database: Path) -> bool:
    """Whether the rows below `old` are those of this state directory: of a database elsewhere, others' may be too."""
    return database.is_relative_to(here) or not old.exists()


def _rewrite(connection: sqlite3.Connection, old: Path, new: Path) -> int:
    """The number of places rewritten, as addresses (file:///…) and as plain paths."""
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
