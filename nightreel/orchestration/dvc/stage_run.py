"""One stage, reproduced by DVC in a child process, its output streamed and its outcome named."""

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
from nightreel.orchestration.child_process import Child
from nightreel.orchestration.dvc import recovery
from nightreel.stage import TEMPORARY

Log = Callable[[str], None]
How = Literal["ran", "cached", "unchanged"]

FAILED = re.compile(r"ERROR: failed to reproduce '.*': failed to run: .*, exited with (-?\d+)")
SIGNS: tuple[tuple[str, How], ...] = (
    ("didn't change, skipping", "unchanged"),
    ("is cached - skipping run", "cached"),
    ("Running stage '", "ran"),
)
# What DVC says to somebody at a keyboard; the run's log is about the stages.
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
    """Where stages run: a folder, the environment of its processes, and the held lock's descriptor."""

    root: Path
    environment: Mapping[str, str]
    lock: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a stage, and the seconds it took."""

    stage: str
    how: How
    seconds: float


class StageFailed(UserError):
    """A stage ended with an error; the message is the stage's own where it gave one."""

    def __init__(self, stage: str, code: int, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.code = code

    def __reduce__(self) -> tuple[type[StageFailed], tuple[str, int, str]]:
        return type(self), (self.stage, self.code, str(self))

    @property
    def temporary(self) -> bool:
        """Whether trying again may help: the stage said so by its exit code."""
        return self.code == TEMPORARY


def reproduce(stage: str, place: StageEnvironment, log: Log, *, force: bool = False) -> Outcome:
    """`dvc repro --single-item STAGE` as a child; an interrupt (Ctrl-C, SIGTERM, a timeout) ends its whole group.

    Raises StageFailed with the stage's own message.
    """
    # DVC's lock may still be held for an instant by an editor's plugin or a `dvc status` in another window.
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
    with _healing(place.root), Child(command, cwd=place.root, env=place.environment, hold=place.lock) as child:
        for line in child.lines():
            said.append(line)
            how = next((answer for sign, answer in SIGNS if sign in line), how)
            if line.strip() and not line.startswith(CHATTER):
                log(line)
        code = child.process.wait()
    if code:
        raise _failure(stage, code, said)
    recovery.done(place.root)
    return Outcome(stage, how, time.monotonic() - began)


@contextmanager
def _healing(root: Path) -> Iterator[None]:
    """An interrupt may hit DVC while it writes."""
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
    """Those of `stages` that DVC would skip, all asked at once: 0.7 s instead of that much for each."""
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
        return frozenset()  # the stages are asked one by one, and the one that is at fault says so
    return frozenset(asked) - set(json.loads(found.stdout))


def _failure(stage: str, code: int, said: list[str]) -> StageFailed:
    exits = [int(found[1]) for line in said if (found := FAILED.search(line))]
    code = exits[-1] if exits else code
    own = _own_message(said)
    if own:
        return StageFailed(stage, code, f"{stage}: {own}")
    told = [line for line in said if line.strip() and not (exits and line.startswith("ERROR: "))]
    if not exits:  # DVC itself: all that it said
        return StageFailed(stage, code, f"{stage}: DVC can't run it: {' '.join(line.strip() for line in told)}")
    last = told[-1].strip() if told else "no output"
    return StageFailed(stage, code, f"{stage}: ended with exit code {code}: {last}\nIts output above says where.")


def _own_message(said: list[str]) -> str:
    """The lines from the stage's `error: ` up to DVC's own; empty when it gave none."""
    starts = [number for number, line in enumerate(said) if line.startswith("error: ")]
    if not starts:
        return ""
    lines = said[starts[-1] :]
    ends = next((n for n, line in enumerate(lines) if line.startswith("ERROR: ")), len(lines))
    return "\n".join(lines[:ends]).removeprefix("error: ").strip()
