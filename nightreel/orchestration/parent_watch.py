"""A flow run started by `nightreel up` ends when that `up` is gone, even if it was killed with -9."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from nightreel.orchestration.lock import held
from nightreel.store.fence import read

MARK = "NIGHTREEL_UP"  # set by `nightreel up` for all that it starts: which holder of the lock it is
LOCK = Path("locks") / "up.lock"


def mark(state: Path) -> dict[str, str]:
    """For the holder of the lock: the variable by which what it starts knows it from a later `up`."""
    holder = read(state / LOCK)
    return {MARK: holder.text if holder else ""}


def leave_with(state: Path) -> None:
    """Watch the lock that `up` holds; when it is free, or another `up` has it, end this process group. No effect
    elsewhere."""
    if MARK in os.environ:
        threading.Thread(target=_watch, args=(state / LOCK, os.environ[MARK]), daemon=True).start()


def _watch(lock: Path, mine: str) -> None:
    while held(lock) and (holder := read(lock)) is not None and holder.text == mine:
        time.sleep(1.0)
    os.killpg(os.getpgrp(), signal.SIGKILL)
