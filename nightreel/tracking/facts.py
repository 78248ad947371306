"""What is recorded of a run, in plain values: no MLflow here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.tracking.dvc_lock import Points


@dataclass(frozen=True)
class StageFacts:
    """A stage of the run. key: hash of its dvc.lock entry, equal where DVC reuses it; deps, outs: path → DVC md5;
    points: (metric, value, step); failed: this run stopped here."""

    name: str
    key: str
    deps: Mapping[str, str]
    outs: Mapping[str, str]
    points: Points
    notes: Mapping[str, Any]
    failed: bool


@dataclass(frozen=True)
class Version:
    """A bundle to register under its digest. alias: `challenger` where it isn't live, else None."""

    digest: str
    folder: Path
    alias: str | None


@dataclass(frozen=True)
class Facts:
    """All that is recorded of a run. artifacts: (file or folder, folder in MLflow); live: the channel's digest; ended:
    epoch milliseconds, for a run that is recorded nights later."""

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
