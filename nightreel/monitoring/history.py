"""The history of nights: a file for each run of the pipeline, in the state directory.

`<state>/nights/<id>.json` is written when a night begins and when it ends. While it runs, the file's modification time
is its last sign of life (see `sign_of_life`). A night that was killed has no end, and no longer holds the run lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nightreel.monitoring.night import Night, Trigger
from nightreel.stage import write_json
from nightreel.store import fence

FOLDER = "nights"
FILES = "files"
"""Folder below it with the files of each night, where there is no git."""
VARIABLE = "NIGHTREEL_NIGHT"
"""Environment variable with the path of the running night's file, for its stages."""
LOOKED_AT = 50  # the last nights, by which it is judged whether something is wrong
KEPT = 1000  # nights, of about 2 kB each
KILLED = "its process is gone: it was killed, or the machine was stopped. Finished stages are kept."


def begin(state: Path, trigger: Trigger, *, flow_run: str | None = None, began: float | None = None) -> Night:
    """Write that a night has begun.

    Args:
        state: The state directory.
        trigger: Who started it.
        flow_run: Id of the run in Prefect.
        began: Epoch seconds; None for now.
    """
    moment = time.time() if began is None else began
    name = time.strftime("%Y%m%d-%H%M%S", time.gmtime(moment)) + f"-{os.getpid()}"
    holder = fence.read(fence.run_lock(state))
    night = Night(id=name, began=moment, trigger=trigger, flow_run=flow_run, fence=holder.text if holder else None)
    write(state, night)
    return night


def finish(state: Path, night: Night, facts: dict[str, Any]) -> Night:
    """Write how a night ended. facts: fields of `Night`; `ended` is now unless given."""
    done = Night.model_validate(night.model_dump() | {"ended": time.time()} | facts)
    write(state, done)
    _forget_old(state)
    return done


def of_environment() -> Night | None:
    """The night that this stage runs in; None outside a flow."""
    named = os.environ.get(VARIABLE)
    return _read(Path(named)) if named else None


def belongs_to(state: Path, night: Night, flow_run: str) -> Night:
    """Write which of Prefect's runs a night is."""
    found = night.model_copy(update={"flow_run": flow_run})
    write(state, found)
    return found


def add(state: Path, trigger: Trigger, facts: dict[str, Any]) -> Night:
    """Write a night that has ended. facts: fields of `Night`, `began` among them."""
    return finish(state, begin(state, trigger, began=float(facts["began"])), facts)


def write(state: Path, night: Night) -> None:
    """Write a night's file."""
    write_json(path(state, night), night.model_dump(mode="json"))


def path(state: Path, night: Night) -> Path:
    """A night's file."""
    return state / FOLDER / f"{night.id}.json"


def nights(state: Path, most: int | None = None) -> list[Night]:
    """The nights so far, the latest first; a file that can't be read is passed over.

    Args:
        state: The state directory.
        most: Number of nights to read; None for all.

    Returns:
        Nights. One that was killed is `stopped`, at its last sign of life.
    """
    files = sorted((state / FOLDER).glob("*.json"), reverse=True)[:most]
    found = [night for file in files if (night := _read(file)) is not None]
    return [night if night.ended is not None or _runs(state, night) else _killed(state, night) for night in found]


def nights_of(state: Path, version: str) -> list[Night]:
    """The nights that made a version, or found it live already; the earliest first."""
    return [night for night in reversed(nights(state)) if night.version == version]


def sign_of_life(file: Path) -> None:
    """Note that a running night goes on."""
    with contextlib.suppress(OSError):
        os.utime(file)


def silent_s(state: Path, night: Night, now: float) -> float:
    """Seconds since a running night's last sign of life."""
    try:
        return max(0.0, now - path(state, night).stat().st_mtime)
    except OSError:
        return 0.0


def _runs(state: Path, night: Night) -> bool:
    """Whether the night that holds the run lock is this one."""
    holder = fence.read(fence.run_lock(state))
    return holder is not None and holder.text == night.fence and fence.held(fence.run_lock(state))


def _killed(state: Path, night: Night) -> Night:
    last = time.time() - silent_s(state, night, time.time())
    return night.model_copy(update={"ended": last, "outcome": "stopped", "reason": KILLED})


def _read(file: Path) -> Night | None:
    try:
        return Night.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _forget_old(state: Path) -> None:
    for file in sorted((state / FOLDER).glob("*.json"), reverse=True)[KEPT:]:
        shutil.rmtree(state / FOLDER / FILES / file.stem, ignore_errors=True)
        file.unlink(missing_ok=True)
