"""Trouble that happens to a running night: a stage's process is killed, the store is away."""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel.orchestration.dvc.pipeline import Stage
from nightreel.replay.troubles.kinds import KilledStage

LOOK_S = 0.02


class StageKiller:
    """Kills a stage's process, once, some seconds after it has begun."""

    def __init__(self, stage: Stage, after_s: float) -> None:
        """Take the stage, and the seconds to wait."""
        self._name = stage.name
        self._module = shlex.split(stage.command)[-1]
        self._after_s = after_s
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begins(self, stage: str) -> None:
        """Note that a stage begins."""
        if stage == self._name and self._thread is None:
            self._thread = threading.Thread(target=self._kill, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Wait no longer for the process."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _kill(self) -> None:
        while not self._over.is_set():
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    # The shell that started it has the whole command as one word.
                    if self._module in process.cmdline():
                        self._over.wait(max(0.0, process.create_time() + self._after_s - time.time()))
                        process.send_signal(signal.SIGKILL)
                        return
            self._over.wait(LOOK_S)


@contextmanager
def stages_killed(stages: Sequence[Stage], kills: Sequence[KilledStage]) -> Iterator[list[StageKiller]]:
    """Kill stages during the block. stages: of the pipeline; kills: which and when."""
    named = {stage.name: stage for stage in stages}
    killers = [StageKiller(named[kill.stage], kill.after_s) for kill in kills]
    try:
        yield killers
    finally:
        for killer in killers:
            killer.stop()


@contextmanager
def store_away(store: Path, *, away: bool) -> Iterator[None]:
    """Put a file where a store's folder was, during the block."""
    restore(store)
    if away:
        store.mkdir(parents=True, exist_ok=True)
        store.rename(_aside(store))
        store.write_text("The store is away: this file stands in its place for a while.\n", "utf-8")
    try:
        yield
    finally:
        restore(store)


def restore(store: Path) -> None:
    """Put a store back that a killed replay left away."""
    if _aside(store).exists():
        store.unlink(missing_ok=True)
        _aside(store).rename(store)


def _aside(store: Path) -> Path:
    return store.with_name(f"{store.name}.away")
