"""What a replay is going to do: its source, its nights, its settings, and the folder that all of it stays in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel import settings
from nightreel.data import privacy
from nightreel.data.ingest.sources import Source, open_source
from nightreel.errors import UserError
from nightreel.orchestration import overrides, project
from nightreel.orchestration.project import Project
from nightreel.replay import instants, source_log
from nightreel.replay.source_log import SourceLog
from nightreel.settings import Settings
from nightreel.stage import read_json, write_json
from nightreel.store.open import open_store

LIVE = ("NIGHTREEL_STORE", "MLFLOW_TRACKING_URI", "PREFECT_API_URL")
"""Variables that would lead a night to the live store and servers."""
KEY_FILE = "pseudonym.key"


@dataclass(frozen=True)
class ReplayOptions:
    """The command's options."""

    source: str
    nights: int
    step: str
    first: str | None
    state: Path | None
    settings: Sequence[str]
    as_json: bool


@dataclass(frozen=True)
class ReplayPlan:
    """place: the checkout and the replay's own state directory; folder: all that the replay keeps; nights: instants,
    epoch seconds; step_s: seconds; changes: of each night's settings, but for its moment."""

    place: Project
    folder: Path
    nights: tuple[float, ...]
    step_s: int
    changes: dict[str, Any]
    settings: Settings
    log: SourceLog

    @property
    def cut(self) -> Path:
        """The source as it was on the night that is running: one place, so that no setting changes from night to
        night."""
        return self.folder / "log"

    def of(self, night: float) -> Path:
        """What is kept of a night."""
        return self.folder / "nights" / instants.told(night).replace(" ", "T").replace(":", "")


def make(wishes: ReplayOptions) -> ReplayPlan:
    """Read the source and lay the nights out; raises UserError where the log has no clock or is too short."""
    home, step_s = project.find(), instants.seconds_of(wishes.step)
    first = instants.instant_of(wishes.first) if wishes.first else None
    given = overrides.absolute(overrides.parse(wishes.settings))
    if "snapshot.source" in given:
        raise UserError("--set snapshot.source: the source of a replay is its argument: `nightreel replay SOURCE`.")
    named = str(overrides.absolute({"snapshot.source": wishes.source})["snapshot.source"])
    values = overrides.changed(home.root / "params.yaml", given)
    parsed = settings.parse(values, "changed settings")
    source = open_source(named, home.state / "downloads", open_store)
    folder = _folder(home, wishes, source, step_s, values)
    own = Project(home.root, folder / "state")
    key = None if parsed.snapshot.pseudonymise == "off" else _key(home.state, own.state)
    log = source_log.read(source, clock=parsed.snapshot.clock, slices=parsed.evaluate.slices, key=key)
    nights = instants.nights(log.begins, log.ends, wishes.nights, step_s, first)
    _claim(folder, source, step_s, nights[0], values)
    media = {} if parsed.snapshot.media or source.is_sample else {"snapshot.media": named}
    night = {"snapshot.source": str(folder / "log"), "snapshot.clock": "time"}
    return ReplayPlan(own, folder, tuple(nights), step_s, {**given, **media, **night}, parsed, log)


@contextlib.contextmanager
def away_from_the_live() -> Iterator[None]:
    """Inside, no variable leads to the live store, its MLflow or its Prefect server."""
    kept = {name: os.environ.pop(name) for name in LIVE if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _folder(home: Project, wishes: ReplayOptions, source: Source, step_s: int, values: dict[str, Any]) -> Path:
    """Where the replay lives: as named, else below the state directory, by what makes it another replay."""
    if wishes.state is not None:
        return wishes.state.expanduser().resolve()
    first = wishes.first or wishes.nights  # without --from the number of nights says when they begin
    wanted = json.dumps([source.fingerprint, step_s, first, values], sort_keys=True, default=str)
    return home.state / "replays" / f"{source.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def _claim(folder: Path, source: Source, step_s: int, first: float, values: dict[str, Any]) -> None:
    """Write down what the folder's replay is; UserError where another one is there already."""
    asked = {
        "source": source.name,
        "fingerprint": source.fingerprint,
        "step_s": step_s,
        "first": instants.told(first),
        "settings": json.loads(json.dumps(values, default=str)),
    }
    path = folder / "replay.json"
    if not path.exists():
        if folder.exists() and any(entry.name != "state" for entry in folder.iterdir()):
            raise UserError(f"{folder}: is not empty, and holds no replay. Give --state another folder.")
        return write_json(path, asked)
    there = read_json(path)
    other = [name for name in asked if there.get(name) != asked[name]]
    if other:
        raise UserError(
            f"{folder}: holds a replay with another {' and '.join(other)} (first night {there.get('first')}, source "
            f"{there.get('source')}). Give --state another folder, or delete this one to begin anew."
        )
    return None


def _key(live: Path, own: Path) -> bytes | None:
    """The key that makes pseudonyms: the checkout's, so that they are those of the live channel; copied into the
    replay's state directory, where its nights look for it. Made there where the checkout has none."""
    path, key = own / KEY_FILE, privacy.load_key(live, create=False)
    if key is not None and not os.environ.get(privacy.KEY_VARIABLE) and not path.exists():
        own.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(key + b"\n")
    return privacy.load_key(own, create=True)
