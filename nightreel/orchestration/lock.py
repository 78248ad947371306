"""One run at a time, however it is started: a file lock, which the system releases when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel.errors import UserError
from nightreel.stage import read_object
from nightreel.store.fence import VARIABLE, read

LEAVING_S = 30.0  # children of a killed holder keep the lock until they have ended, too


@contextmanager
def exclusive(
    path: Path, what: str, *, patience: float = 0.0, waiting: Callable[[str], None] | None = None
) -> Iterator[int]:
    """Hold the lock; yields its file descriptor, for a child's guard.

    Args:
        path: The lock file.
        what: What the lock stands for, in words, for the message.
        patience: Seconds to wait for another holder; the children of a killed one are waited for in any case.
        waiting: Takes a line when the wait begins.

    Raises:
        UserError: Another process holds the lock; names the process and when it started.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, path, what, patience, waiting)
        _sign(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def fence(path: Path) -> dict[str, str]:
    """The environment variables that let the holder's stages publish as long as it holds the lock."""
    mark = read(path)
    return {VARIABLE: mark.text} if mark else {}


def _take(descriptor: int, path: Path, what: str, patience: float, waiting: Callable[[str], None] | None) -> None:
    began, told = time.monotonic(), False
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = read_object(path)
            who = f"process {holder.get('pid', '?')}, since {holder.get('since', '?')}"
            message = f"{path}: {what} is already in progress ({who})."
            if time.monotonic() >= began + (patience if _alive(holder) else max(patience, LEAVING_S)):
                raise UserError(f"{message} Wait for it to end, or stop it, and try again.") from None
            if waiting is not None and not told:
                waiting(f"{message} Waiting for it.")
                told = True
            time.sleep(0.1)


def _sign(descriptor: int, path: Path) -> None:
    """Write the holder's process and a number higher than any before into the lock file (see nightreel.store.fence)."""
    before = read(path)
    name, number = (before.name, before.number + 1) if before else (uuid.uuid4().hex, 1)
    holder = {"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S"), "lock": name, "number": number}
    content = json.dumps(holder).encode()
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))


def _alive(holder: dict[str, Any]) -> bool:
    """Whether the process named in the lock file still runs; an unknown one counts as alive."""
    try:
        return bool(psutil.Process(int(holder["pid"])).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except (KeyError, ValueError, psutil.Error):
        return True
