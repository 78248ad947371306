"""`nightreel why`: which stages would run, and because of which changed dependency."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.errors import UserError
from nightreel.orchestration import project
from nightreel.orchestration.dvc import pipeline
from nightreel.settings import yaml_values
from nightreel.stage import prepare_state


@dataclass(frozen=True)
class StaleStage:
    """A stage and why it would run; without reasons, it would be skipped."""

    stage: str
    reasons: tuple[str, ...]


def why() -> list[StaleStage]:
    """Return every stage, in order, with the reasons to run it.

    Raises:
        UserError: `dvc status` failed; with DVC's message.
    """
    here = project.find()
    prepare_state(here.state)
    stages = pipeline.read(here.root)
    found = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"],
        cwd=here.root,
        env=here.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise UserError(f"{here.root}: dvc status failed: {_message(found.stderr)}")
    status: dict[str, list[Any]] = json.loads(found.stdout)
    settings = _changed_settings(here.root)
    answers: list[StaleStage] = []
    stale: set[str] = set()
    for stage in stages:
        own = list(_reasons(status.get(stage.name, []), settings.get(stage.name, [])))
        changed = [reason for reason in own if reason != ALWAYS]
        above = [name for name in stage.upstream if name in stale]
        if changed or above:
            stale.add(stage.name)
        answers.append(StaleStage(stage.name, tuple([*changed, *(f"after {name}" for name in above)] or own)))
    return answers


def _message(said: str) -> str:
    """All that DVC said, without its invitation to its support page."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and "dvc.org/support" not in line]
    return " ".join(lines) or "no message"


ALWAYS = "runs every time, because it accesses the outside world"


def _reasons(entries: list[Any], settings: list[str]) -> Iterator[str]:
    """The entries of DVC's status of one stage, as text."""
    for entry in entries:
        if entry == "always changed":
            yield ALWAYS
        elif isinstance(entry, str):
            yield entry
        else:
            for kind, paths in entry.items():
                yield from _changes(kind.removeprefix("changed "), paths, settings)


def _changes(kind: str, paths: dict[str, Any], settings: list[str]) -> Iterator[str]:
    for path, what in paths.items():
        if isinstance(what, dict):  # params.yaml: DVC names only the section, so the field comes from dvc.lock
            yield from settings or (f"setting {name}: {how}" for name, how in what.items())
        else:
            yield f"{kind.removesuffix('s')} {path}: {what}"


def _changed_settings(root: Path) -> dict[str, list[str]]:
    """Stage → `setting embed.encoder: old → new`, from the parameters stored in dvc.lock."""
    if not (root / "dvc.lock").exists():
        return {}
    locked = yaml_values.read((root / "dvc.lock").read_text("utf-8"))["stages"]
    now = _flat(yaml_values.read((root / "params.yaml").read_text("utf-8")))
    changed: dict[str, list[str]] = {}
    for stage, entry in locked.items():
        then = entry.get("params", {}).get("params.yaml", {})
        before = _flat(then)
        mine = {name: value for name, value in now.items() if any(f"{name}.".startswith(f"{n}.") for n in then)}
        changed[stage] = [
            f"setting {name}: {before.get(name, 'not set')} → {mine.get(name, 'not set')}"
            for name in sorted(before.keys() | mine.keys())
            if before.get(name, ...) != mine.get(name, ...)
        ]
    return changed


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} → {"a.b": 1}; names that hold dots already (DVC's `finetune.seed`) stay as they are."""
    if not isinstance(values, dict):
        return {prefix: values}
    parts = (_flat(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in values.items())
    return {name: value for part in parts for name, value in part.items()}
