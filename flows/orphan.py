"""A flow run started by `nightreel up` ends when `up` is gone, even if that was killed with -9."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from flows.lock import held

MARK = "NIGHTREEL_UP"  # set by `nightreel up` for all that it starts
LOCK = Path("locks") / "up.lock"


def leave_with(state: Path) -> None:
    """Watch the lock that `up` holds; when it is free, end this process group. No effect elsewhere."""
    if MARK in os.environ:
        threading.Thread(target=_watch, args=(state / LOCK,), daemon=True).start()


def _watch(lock: Path) -> None:
    while held(lock):
        time.sleep(1.0)
    os.killpg(os.getpgrp(), signal.SIGKILL)
