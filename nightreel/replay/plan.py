"""The plan of a replay: its source, nights, settings and folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightreel.data import privacy
from nightreel.data.ingest.sources import Source, open_source
from nightreel.errors import UserError
from nightreel.monitoring import notifications
from nightreel.orchestration import overrides, project
from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.project import Project
from nightreel.replay import backfill, instants, source_log
from nightreel.replay.backfill import Target
from nightreel.replay.source_log import SourceLog
from nightreel.replay.troubles import script as scripts
from nightreel.replay.troubles.script import Scope, Script
from nightreel.settings import params_file
from nightreel.settings.params_file import Settings
from nightreel.stage import read_json, write_json
from nightreel.store.open import open_store

LIVE = ("NIGHTREEL_STORE", "MLFLOW_TRACKING_URI", notifications.VARIABLE)
"""Environment variables that would connect a night to the live store and MLflow, and tell people of it."""
KEY_FILE = "pseudonym.key"
DESCRIPTION = "replay.json"


@dataclass(frozen=True)
class ReplayOptions:
    """What is wanted: the options of the command, or the form's fields."""

    source: str
    nights: int
    step: str
    first: str | None
    state: Path | None
    settings: Sequence[str]
    script: Path | None = None
    publish: str | None = None
    into_live: bool = False
    first_recipe: bool = False
    held_candidates: bool = False


@dataclass(frozen=True)
class ReplayPlan:
    """A replay. place: the checkout and the replay's own state directory; folder: of all its files; nights: times in
    epoch seconds; step_s: seconds; changes: of each night's settings, except its time; key: of the users' pseudonyms,
    None for plain ids; script: what goes wrong, None for nothing; target: where the nights are published, None for a
    store of the replay's own; first_recipe, held_candidates: whether they are trained and judged, too, see
    nightreel.replay.alternatives."""

    place: Project
    folder: Path
    nights: tuple[float, ...]
    step_s: int
    changes: dict[str, Any]
    settings: Settings
    log: SourceLog
    key: bytes | None = field(repr=False)
    script: Script | None
    target: Target | None = None
    first_recipe: bool = False
    held_candidates: bool = False

    @property
    def cut(self) -> Path:
        """The source as of the current night: always the same folder, so that no setting changes between nights."""
        return self.folder / "log"

    @property
    def store(self) -> str:
        """The store that the nights publish to: the replay's own, unless they are to be published."""
        return self.target.store if self.target else str(self.place.state / "store")

    def of(self, night: float) -> Path:
        """The folder of a night."""
        return self.folder / "nights" / instants.format_time(night).replace(" ", "T").replace(":", "")


def make(options: ReplayOptions) -> ReplayPlan:
    """Read the source and plan the nights.

    Raises:
        UserError: An option is not valid, the folder holds another replay, or the log has no clock or is too short.
    """
    home, step_s = project.find(), instants.seconds_of(options.step)
    first = instants.instant_of(options.first) if options.first else None
    given = dict(overrides.absolute(overrides.parse(options.settings)))
    if "snapshot.source" in given:
        raise UserError("--set snapshot.source: give the source as the argument: `nightreel replay SOURCE`.")
    target = _target(options)
    given |= {"snapshot.channel": target.channel} if target else {}
    named = str(overrides.absolute({"snapshot.source": options.source})["snapshot.source"])
    values = overrides.changed(home.root / "params.yaml", given)
    parsed = params_file.parse(values, "changed settings")
    script = scripts.read(options.script) if options.script else None
    source = open_source(named, home.state / "downloads", open_store)
    description = _description(source, step_s, values, script, target) | _alternatives(options)
    folder = _folder(home, options, description)
    own = Project(home.root, folder / "state")
    key = None if parsed.snapshot.pseudonymise == "off" else _key(home.state, own.state)
    log = source_log.read(source, clock=parsed.snapshot.clock, slices=parsed.evaluate.slices, key=key)
    if target is not None:
        log = backfill.without_erased(log, target, key)
    nights = instants.nights(log.begins, log.ends, options.nights, step_s, first)
    if script is not None and options.script is not None:
        stages = [stage.name for stage in pipeline.read(home.root)]
        scripts.require_fitting(script, options.script, Scope(len(nights), stages, log.columns()))
    if target is not None and not (folder / DESCRIPTION).exists():
        backfill.require_unused(target, into_live=options.into_live)
    _claim(folder, description | {"first": instants.format_time(nights[0])})
    media = {} if parsed.snapshot.media or source.is_sample else {"snapshot.media": named}
    night = {"snapshot.source": str(folder / "log"), "snapshot.clock": "time"}
    changes = {**given, **media, **night}
    return ReplayPlan(
        own, folder, tuple(nights), step_s, changes, parsed, log, key, script, target, **_alternatives(options)
    )


@contextlib.contextmanager
def without_variables(*names: str) -> Iterator[None]:
    """Remove environment variables for the block; afterwards they are as before."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(kept)


def away_from_the_live() -> contextlib.AbstractContextManager[None]:
    """Remove the environment variables of the live store, MLflow and notifications for a block."""
    return without_variables(*LIVE)


def _target(options: ReplayOptions) -> Target | None:
    """Where `--publish` publishes."""
    if options.publish is None:
        if options.into_live:
            raise UserError("--into-live: belongs to --publish live, which is missing.")
        return None
    if options.script is not None:
        raise UserError("--publish: nights with trouble (--script) are not published. Leave one of the two out.")
    return backfill.target(options.publish, into_live=options.into_live)


def _description(
    source: Source, step_s: int, values: dict[str, Any], script: Script | None, target: Target | None
) -> dict[str, Any]:
    """What makes it this replay and no other, but for the first night."""
    return {
        "source": source.name,
        "fingerprint": source.fingerprint,
        "step_s": step_s,
        "settings": json.loads(json.dumps(values, default=str)),
        "script": script and script.model_dump(mode="json"),
        "publish": target and target.as_json(),
    }


def _alternatives(options: ReplayOptions) -> dict[str, bool]:
    """What is trained beside the nights, which makes it another replay: all of its nights have the figures, or none."""
    return {"first_recipe": options.first_recipe, "held_candidates": options.held_candidates}


def _folder(home: Project, options: ReplayOptions, description: dict[str, Any]) -> Path:
    """The replay's folder: `--state`, or one in the state directory named after all that makes it another replay."""
    if options.state is not None:
        return options.state.expanduser().resolve()
    first = options.first or options.nights  # without --from, the number of nights decides when they begin
    told = [description["fingerprint"], description["step_s"], first, description["settings"]]
    told += [description[name] for name in ("script", "publish") if description[name] is not None]
    told += [name for name in _alternatives(options) if description[name]]
    wanted = json.dumps(told, sort_keys=True, default=str)
    return home.state / "replays" / f"{description['source']}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def _claim(folder: Path, wanted: dict[str, Any]) -> None:
    """Write the replay's description to its folder.

    Raises:
        UserError: The folder holds another replay, or something else.
    """
    path = folder / DESCRIPTION
    if not path.exists():
        if folder.exists() and any(entry.name != "state" for entry in folder.iterdir()):
            raise UserError(f"{folder}: is not empty, and holds no replay. Give --state another folder.")
        return write_json(path, wanted)
    there = read_json(path)
    other = [name for name in wanted if (there.get(name) or None) != (wanted[name] or None)]
    if other:
        raise UserError(
            f"{folder}: holds a replay with another {' and '.join(other)} (first night {there.get('first')}, source "
            f"{there.get('source')}). Give --state another folder, or delete this one to start again."
        )
    return None


def _key(live: Path, own: Path) -> bytes | None:
    """The pseudonym key: the checkout's, so that pseudonyms are those of the live channel.

    It is copied to the replay's state directory, where the nights read it, or created there if the checkout has none.
    """
    path, key = own / KEY_FILE, privacy.load_key(live, create=False)
    if key is not None and not os.environ.get(privacy.KEY_VARIABLE) and not path.exists():
        own.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(key + b"\n")
    return privacy.load_key(own, create=True)
