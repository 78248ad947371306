"""Ends a flow run when the `nightreel up` that started it is gone, even after kill -9."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from nightreel.store.fence import held, read

MARK = "NIGHTREEL_UP"  # set by `nightreel up` for its children: identifies the holder of the lock
LOCK = Path("locks") / "up.lock"
EVERY_S = 1.0
"""Seconds between two looks at the lock."""


def mark(state: Path) -> dict[str, str]:
    """The environment variable by which the children of the lock's holder tell it from a later `up`."""
    holder = read(state / LOCK)
    return {MARK: holder.text if holder else ""}


def leave_with(state: Path) -> None:
    """End this process group as soon as the lock of its `up` is free or held by another `up`; no effect if this process
    was not started by `up`."""
    if MARK in os.environ:
        threading.Thread(target=_watch, args=(state / LOCK, os.environ[MARK]), daemon=True).start()


def _watch(lock: Path, mine: str) -> None:
    while held(lock) and (holder := read(lock)) is not None and holder.text == mine:
        time.sleep(EVERY_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)
