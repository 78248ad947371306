"""Fencing token: a run that lost its lock to a later run can't publish."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.errors import UserError

VARIABLE = "NIGHTREEL_FENCE"


class LostLock(UserError):
    """Another run has taken the lock after this one."""


@dataclass(frozen=True)
class Fence:
    """A run's hold on a lock file. name: identifies the lock, created with its file; number: grows with every
    holder."""

    path: Path
    name: str
    number: int

    @property
    def text(self) -> str:
        """The value of NIGHTREEL_FENCE for child processes."""
        return f"{self.name}:{self.number}:{self.path}"

    def require(self, published: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the fencing token to publish with.

        Args:
            published: The token of the channel's last publication.

        Raises:
            LostLock: The lock or the channel has had a later holder.
        """
        later = published is not None and published["lock"] == self.name and published["number"] > self.number
        if later or read(self.path) != self:
            raise LostLock(
                f"{self.path}: this run lost its lock: another run has started since. Nothing was published. Run again."
            )
        return {"lock": self.name, "number": self.number}


def read(path: Path) -> Fence | None:
    """The latest holder of a lock file; None if the file is missing or empty."""
    try:
        value = json.loads(path.read_text("utf-8"))
        return Fence(path, str(value["lock"]), int(value["number"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def of_this_run() -> Fence | None:
    """The fencing token that a run gave its stages; None for a stage started by hand."""
    name, _, rest = os.environ.get(VARIABLE, "").partition(":")
    number, _, path = rest.partition(":")
    if not name:
        return None
    try:
        return Fence(Path(path), name, int(number))
    except ValueError:
        raise UserError(f"{VARIABLE}: has an invalid value; only a run sets it. Unset it and run again.") from None


def run_lock(state: Path) -> Path:
    """The lock file that a run holds, of a state directory."""
    return state / "locks" / "run.lock"


def held(path: Path) -> bool:
    """Whether a process holds the lock now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
