"""The facts of a run to record, as plain values, without MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.tracking.dvc_lock import Points


@dataclass(frozen=True)
class StageFacts:
    """A stage of the run. key: hash of its dvc.lock entry, equal if DVC reused the stage; deps, outs: path → DVC md5;
    points: (metric, value, step); failed: whether the run failed here."""

    name: str
    key: str
    deps: Mapping[str, str]
    outs: Mapping[str, str]
    points: Points
    notes: Mapping[str, Any]
    failed: bool


@dataclass(frozen=True)
class Version:
    """A bundle to register under its digest. alias: `challenger` if it is not live, else None."""

    digest: str
    folder: Path
    alias: str | None


@dataclass(frozen=True)
class Facts:
    """Everything that is recorded of a run. artifacts: (file or folder, folder in MLflow); live: the channel's digest;
    ended: epoch milliseconds, since a run may be recorded much later."""

    experiment: str
    recipe: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Points
    stages: tuple[StageFacts, ...]
    datasets: Mapping[str, str]
    artifacts: tuple[tuple[Path, str], ...]
    version: Version | None
    live: str | None
    ended: int
