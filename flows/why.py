"""`nightreel why`: which stages would run, and because of which dep."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flows import graph, project
from tasks.stage import UserError


@dataclass(frozen=True)
class Answer:
    """A stage and why it would run; no reasons: it would not."""

    stage: str
    reasons: tuple[str, ...]


def why() -> list[Answer]:
    """Every stage in order. Raises UserError with DVC's message when it can't tell."""
    here = project.find()
    stages = graph.read(here.root)
    found = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"],
        cwd=here.root, env=here.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        message = found.stderr.strip().splitlines() or ["no message"]
        raise UserError(f"{here.root}: dvc status failed: {message[-1]}")
    status: dict[str, list[Any]] = json.loads(found.stdout)
    answers: list[Answer] = []
    stale: set[str] = set()
    for stage in stages:
        own = list(_reasons(status.get(stage.name, [])))
        changed = [reason for reason in own if reason != ALWAYS]
        above = [name for name in stage.upstream if name in stale]
        if changed or above:
            stale.add(stage.name)
        answers.append(Answer(stage.name, tuple([*changed, *(f"after {name}" for name in above)] or own)))
    return answers


ALWAYS = "looks outside on every run"


def _reasons(entries: list[Any]) -> Iterator[str]:
    """DVC's status of one stage, an entry a line."""
    for entry in entries:
        if entry == "always changed":
            yield ALWAYS
        elif isinstance(entry, str):
            yield entry
        else:
            for kind, paths in entry.items():
                yield from _changes(kind.removeprefix("changed "), paths)


def _changes(kind: str, paths: dict[str, Any]) -> Iterator[str]:
    for path, what in paths.items():
        if isinstance(what, dict):  # params: {"params.yaml": {"embed.encoder": "modified"}}
            yield from (f"setting {name}: {how}" for name, how in what.items())
        else:
            yield f"{kind.removesuffix('s')} {path}: {what}"
