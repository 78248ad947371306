"""A ledger of the processes of each flow run, in the state directory, so that orphaned runs can be recognised.

`<state>/flow-runs/<flow run>/` has a file for each process: its host, id and start time, since process ids are reused.
`owner` is the process responsible for the run: the worker, or the terminal of `nightreel run`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel.stage import write_json

FOLDER = "flow-runs"
OWNER, INFRASTRUCTURE, FLOW = "owner", "infrastructure", "flow"
WORKERS = "nightreel "  # how the names of all workers of `nightreel up` begin
CLOCK_S = 1.0  # start times have the resolution of the kernel's clock ticks


@dataclass(frozen=True)
class Process:
    """A process, identified uniquely: a reused id has another start time. started: epoch seconds."""

    host: str
    pid: int
    started: float

    def running(self) -> psutil.Process | None:
        """The process if it still runs; None for a process of another host, which can't be inspected here."""
        try:
            found = psutil.Process(self.pid)
            same = self.host == platform.node() and abs(found.create_time() - self.started) < CLOCK_S
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


@dataclass(frozen=True)
class Entry:
    """A flow run and its processes by role. worker: the owner's name in Prefect, empty for a terminal."""

    flow_run: str
    worker: str
    sure: bool
    """Whether the server assigned the run to this owner; until then another worker may get it."""
    processes: dict[str, Process]

    @property
    def over(self) -> bool:
        """Whether the run's owner has ended."""
        owner = self.processes.get(OWNER)
        return owner is None or owner.running() is None


def claim(state: Path, flow_run: str, *, worker: str = "", sure: bool = True) -> None:
    """Register this process as the run's owner.

    Args:
        state: The state directory.
        flow_run: The run's id.
        worker: This process's name in Prefect; empty for a run in a terminal.
        sure: False until the server has assigned the run to it.
    """
    write_json(_folder(state, flow_run) / f"{OWNER}.json", {**_facts(os.getpid()), "worker": worker, "sure": sure})


def note(state: Path, flow_run: str, role: str, pid: int) -> None:
    """Register another process of a claimed run; does nothing for an unclaimed run or a process that has ended."""
    if _folder(state, flow_run).is_dir() and psutil.pid_exists(pid):
        write_json(_folder(state, flow_run) / f"{role}.json", _facts(pid))


def worker_name(state: Path) -> str:
    """The name of this state directory's worker in Prefect: unique, and the same at every start."""
    kept = state / "worker.json"
    try:
        return str(json.loads(kept.read_text("utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        name = f"{WORKERS}{platform.node()} {uuid.uuid4().hex[:8]}".replace("/", " ").replace("%", " ")
        write_json(kept, {"name": name})
        return name


def forget(state: Path, flow_run: str) -> None:
    """Remove a run that has ended and whose end the server knows."""
    shutil.rmtree(_folder(state, flow_run), ignore_errors=True)


def entries(state: Path) -> list[Entry]:
    """All runs in the ledger: running, or orphaned when their processes died."""
    return [_read(folder) for folder in sorted((state / FOLDER).glob("*")) if folder.is_dir()]


def _folder(state: Path, flow_run: str) -> Path:
    return state / FOLDER / flow_run


def _facts(pid: int) -> dict[str, object]:
    return asdict(Process(platform.node(), pid, psutil.Process(pid).create_time()))


def _read(folder: Path) -> Entry:
    """Read a run's entry; a truncated file counts as missing."""
    found: dict[str, dict[str, object]] = {}
    for role in (OWNER, INFRASTRUCTURE, FLOW):
        try:
            found[role] = dict(json.loads((folder / f"{role}.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue
    owner = found.get(OWNER, {})
    processes = {
        role: Process(str(each.get("host")), int(str(each.get("pid", 0))), float(str(each.get("started", 0))))
        for role, each in found.items()
    }
    return Entry(folder.name, str(owner.get("worker", "")), bool(owner.get("sure", False)), processes)
