"""Runs that are still to be recorded, each in a folder of its own with all that MLflow shall get of it.

A run is put here before MLflow is asked and leaves when it is recorded: what could not be recorded, or was killed on
the way, is there the next time.
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
"""Of so many waiting runs the bundles are kept too: they are what takes room."""
_FACTS, _BUNDLE = "facts.json", "bundle"


def folder(state: Path) -> Path:
    """Where the runs wait."""
    return state / "mlflow" / "pending"


def put(state: Path, facts: Facts, marker: dict[str, Any]) -> Path:
    """Keep a run until it is recorded, instead of an earlier try at the same recipe; returns its folder.

    Args:
        state: The state directory.
        facts: What is to be recorded; its files are copied, its bundle is linked where that is possible.
        marker: What is to be remembered of the run once it is recorded.
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
    """The folders of the runs that wait, the oldest first."""
    found = [path for path in folder(state).glob("*") if not path.name.startswith(".") and (path / _FACTS).is_file()]
    return sorted(found, key=lambda path: ((path / _FACTS).stat().st_mtime, path.name))


def take(entry: Path) -> tuple[Facts, dict[str, Any]]:
    """The facts and the marker of a waiting run; its version is None where the bundle was not kept."""
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
    """The run is recorded."""
    shutil.rmtree(entry)


def _points(rows: list[list[Any]]) -> tuple[tuple[str, float, int], ...]:
    return tuple((name, value, step) for name, value, step in rows)


def _link(source: str, target: str) -> None:
    """Stages and DVC write files anew and never change one in place, so that a second name for it is a copy."""
    try:
        Path(target).hardlink_to(Path(source).resolve())
    except OSError:  # another disk, or a system without links
        shutil.copy2(source, target)
