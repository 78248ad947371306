"""Runs one stage with DVC in a child process, streams its output and classifies its outcome."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nightreel.errors import UserError
from nightreel.monitoring import history
from nightreel.orchestration.child_process import Child
from nightreel.orchestration.dvc import cache_repair, dvc_config, recovery
from nightreel.orchestration.dvc.killed import ProcessWatch, explain, signal_of
from nightreel.stage import TEMPORARY

Log = Callable[[str], None]
How = Literal["ran", "cached", "unchanged"]

FAILED = re.compile(r"ERROR: failed to reproduce '.*': failed to run: .*, exited with (-?\d+)")
SIGNS: tuple[tuple[str, How], ...] = (
    ("didn't change, skipping", "unchanged"),
    ("is cached - skipping run", "cached"),
    ("Running stage '", "ran"),
)
# DVC's hints for interactive use; they are not part of the run's log.
CHATTER = (
    "Running stage '",
    "> ",
    "Updating lock file",
    "Generating lock file",
    "To track the changes",
    "To enable auto",
    "Use `dvc push`",
    "Data and pipelines are up to date",
    "Stage '",
    "WARNING: Process '",
    "\tgit add",
    "\tdvc config",
)


@dataclass(frozen=True)
class StageEnvironment:
    """Where stages run: the folder, the environment of their processes, and the file descriptor of the held lock."""

    root: Path
    environment: Mapping[str, str]
    lock: int | None = None

    @property
    def night(self) -> Path | None:
        """The file of the night that is running; None outside the history of nights."""
        named = self.environment.get(history.VARIABLE)
        return Path(named) if named else None

    def remove_damaged(self, stage: str) -> list[str]:
        """Remove damaged objects of a stage's outs from DVC's cache; returns these outs."""
        state = Path(self.environment["NIGHTREEL_STATE"])
        return cache_repair.remove_damaged(self.root, dvc_config.cache_folder(self.root), state, stage)


@dataclass(frozen=True)
class Outcome:
    """How a stage ended, and how many seconds it took."""

    stage: str
    how: How
    seconds: float


class StageFailed(UserError):
    """A stage ended with an error; the message is the stage's own if it gave one."""

    def __init__(self, stage: str, code: int, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.code = code

    def __reduce__(self) -> tuple[type[StageFailed], tuple[str, int, str]]:
        return type(self), (self.stage, self.code, str(self))

    @property
    def temporary(self) -> bool:
        """Whether retrying may help, as the stage reported by its exit code."""
        return self.code == TEMPORARY


def reproduce(stage: str, place: StageEnvironment, log: Log, *, force: bool = False) -> Outcome:
    """Run `dvc repro --single-item STAGE`; an interrupt (Ctrl-C, SIGTERM, a timeout) ends its whole process group.

    Raises:
        StageFailed: With the stage's own message.
    """
    outcome = _repro(stage, place, log, force=force)
    # DVC may have kept, or taken, an object that an interrupted night left damaged. Forced, it writes a sound one.
    damaged = [] if outcome.how == "unchanged" else place.remove_damaged(stage)
    for out in damaged:
        log(cache_repair.told(out))
    return _repro(stage, place, log, force=True) if damaged else outcome


def _repro(stage: str, place: StageEnvironment, log: Log, *, force: bool) -> Outcome:
    # Another `dvc` command or an editor's plugin may hold DVC's lock for a moment.
    command = [
        sys.executable,
        "-m",
        "dvc",
        "--wait-for-lock",
        "repro",
        "--single-item",
        *(["--force"] if force else []),
        stage,
    ]
    began, said = time.monotonic(), list[str]()
    how: How = "unchanged"
    recovery.begin(place.root)
    with (
        _healing(place.root),
        Child(command, cwd=place.root, env=place.environment, hold=place.lock) as child,
        ProcessWatch(child.process.pid, place.night) as memory,
    ):
        for line in child.lines():
            said.append(line)
            how = next((answer for sign, answer in SIGNS if sign in line), how)
            if line.strip() and not line.startswith(CHATTER):
                log(line)
        code = child.process.wait()
    if code:
        raise _failure(stage, code, said, memory.most)
    recovery.done(place.root)
    return Outcome(stage, how, time.monotonic() - began)


@contextmanager
def _healing(root: Path) -> Iterator[None]:
    """Repair DVC's files if an interrupt hits DVC while it writes them."""
    try:
        yield
    except BaseException:
        recovery.heal(root)
        raise


def run_directly(command: str, place: StageEnvironment, log: Log) -> int:
    """Run a stage's command outside DVC (for `record` after a failure); returns its exit code."""
    with Child(["sh", "-c", command], cwd=place.root, env=place.environment, hold=place.lock) as child:
        for line in child.lines():
            log(line)
        return child.process.wait()


def unchanged(place: StageEnvironment, stages: Iterable[str]) -> frozenset[str]:
    """Those of `stages` that DVC would skip, found in one call: 0.7 s in total instead of 0.7 s each."""
    asked = list(stages)
    if not asked:
        return frozenset()
    found = subprocess.run(
        [sys.executable, "-m", "dvc", "--wait-for-lock", "status", "--json", *asked],
        cwd=place.root,
        env=dict(place.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        return frozenset()  # the stages then run one by one, and the faulty one reports its error
    return frozenset(asked) - set(json.loads(found.stdout))


def _failure(stage: str, code: int, said: list[str], most: int) -> StageFailed:
    """The error of a stage. most: bytes of memory that it held at most."""
    exits = [int(found[1]) for line in said if (found := FAILED.search(line))]
    code = exits[-1] if exits else code
    if (number := signal_of(code)) is not None:
        return StageFailed(stage, code, f"{stage}: {explain(stage, number, most)}")
    own = _own_message(said)
    if own:
        return StageFailed(stage, code, f"{stage}: {own}")
    output = [line for line in said if line.strip() and not (exits and line.startswith("ERROR: "))]
    if not exits:  # the error is DVC's, so all of its output may matter
        return StageFailed(stage, code, f"{stage}: DVC can't run it: {' '.join(line.strip() for line in output)}")
    last = output[-1].strip() if output else "no output"
    return StageFailed(stage, code, f"{stage}: ended with exit code {code}: {last}\nSee its output above.")


def _own_message(said: list[str]) -> str:
    """The lines from the stage's `error: ` up to DVC's own; empty if there are none."""
    starts = [number for number, line in enumerate(said) if line.startswith("error: ")]
    if not starts:
        return ""
    lines = said[starts[-1] :]
    ends = next((n for n, line in enumerate(lines) if line.startswith("ERROR: ")), len(lines))
    return "\n".join(lines[:ends]).removeprefix("error: ").strip()
