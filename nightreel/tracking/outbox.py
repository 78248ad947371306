"""The outbox: runs that are still to be recorded, each in its own folder with everything to send to MLflow.

A run is stored here before it is sent and removed once it is recorded, so that a failed or interrupted attempt can be
repeated later.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nightreel.stage import staged_output
from nightreel.tracking.facts import Facts, StageFacts, Version

MODELS_KEPT = 14
"""Number of waiting runs whose bundles are kept, since bundles are large."""
_FACTS, _BUNDLE = "facts.json", "bundle"


def folder(state: Path) -> Path:
    """Return the folder of the outbox."""
    return state / "mlflow" / "pending"


def put(state: Path, facts: Facts, marker: dict[str, Any]) -> Path:
    """Store a run until it is recorded, replacing an earlier attempt at the same recipe; returns its folder.

    Args:
        state: The state directory.
        facts: What to record; its files are copied, and its bundle is hard-linked if possible.
        marker: The content of the marker file once it is recorded.
    """
    entry = folder(state) / facts.recipe
    with staged_output(entry) as working:
        artifacts = []
        for number, (path, target) in enumerate(facts.artifacts):
            copy = working / "artifacts" / str(number) / path.name
            copy.parent.mkdir(parents=True)
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
            artifacts.append([str(copy.relative_to(working)), target])
        if facts.version is not None:
            shutil.copytree(facts.version.folder, working / _BUNDLE, copy_function=_link)
        version = facts.version and asdict(replace(facts.version, folder=Path()))
        plain = asdict(facts) | {"artifacts": artifacts, "version": version}
        (working / _FACTS).write_text(json.dumps({"facts": plain, "marker": marker}, default=str), "utf-8")
    for old in waiting(state)[:-MODELS_KEPT]:
        shutil.rmtree(old / _BUNDLE, ignore_errors=True)
    return entry


def waiting(state: Path) -> list[Path]:
    """Return the folders of the waiting runs, the oldest first."""
    found = [path for path in folder(state).glob("*") if not path.name.startswith(".") and (path / _FACTS).is_file()]
    return sorted(found, key=lambda path: ((path / _FACTS).stat().st_mtime, path.name))


def take(entry: Path) -> tuple[Facts, dict[str, Any]]:
    """Read the facts and the marker of a waiting run; its version is None if the bundle was not kept."""
    read = json.loads((entry / _FACTS).read_text("utf-8"))
    plain: dict[str, Any] = read["facts"]
    version = plain["version"]
    kept = version is not None and (entry / _BUNDLE).is_dir()
    stages = tuple(StageFacts(**each | {"points": _points(each["points"])}) for each in plain["stages"])
    facts = Facts(
        **plain
        | {
            "points": _points(plain["points"]),
            "stages": stages,
            "artifacts": tuple((entry / path, target) for path, target in plain["artifacts"]),
            "version": Version(version["digest"], entry / _BUNDLE, version["alias"]) if kept else None,
        }
    )
    return facts, read["marker"]


def drop(entry: Path) -> None:
    """Remove a run that is recorded."""
    shutil.rmtree(entry)


def _points(rows: list[list[Any]]) -> tuple[tuple[str, float, int], ...]:
    return tuple((name, value, step) for name, value, step in rows)


def _link(source: str, target: str) -> None:
    """Hard-link a file instead of copying it, since stages and DVC replace files and never change them in place."""
    try:
        Path(target).hardlink_to(Path(source).resolve())
    except OSError:  # another disk, or a system without links
        shutil.copy2(source, target)
