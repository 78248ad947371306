"""How much room the disk of the state directory has left: on a full one the services of `nightreel up` only wait.

Prefect and MLflow keep databases there, and the object store takes no writes on the last percent of a disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nightreel.errors import UserError

LEAST = 100_000_000
"""Bytes, at least: new databases and logs take a third of them."""
SHARE = 0.01
"""Share of the disk that the object store leaves free."""


def shortage(folder: Path) -> str | None:
    """What there is to say if the disk of a folder is full, or nearly; None if there is room."""
    disk = shutil.disk_usage(folder)
    needed = max(LEAST, SHARE * disk.total)
    if disk.free >= needed:
        return None
    return (
        f"{folder}: {disk.free / 1e6:,.0f} MB are left on the device, and the services need {needed / 1e6:,.0f} MB. "
        "Free some space."
    )


def require(folder: Path) -> None:
    """Raise UserError if the disk of a folder is full, or nearly."""
    if short := shortage(folder):
        raise UserError(f"{short} Then start `nightreel up` again, or name another place in NIGHTREEL_STATE.")


@dataclass
class DiskWatch:
    """Looks after the disk while services run, and tells when it is full and when it is not any more.

    Args:
        folder: The state directory.
        say: Takes a line for the terminal.
    """

    folder: Path
    say: Callable[[str], None]
    full: bool = False

    def look(self) -> bool:
        """Whether the disk is full now; each change is told once."""
        short = shortage(self.folder)
        if short and not self.full:
            self.say(f"{short} Until then nothing is published, and a service that ends is not started again.")
        elif self.full and not short:
            self.say("There is room on the disk again: everything goes on.")
        self.full = short is not None
        return self.full
