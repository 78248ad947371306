"""The services of `nightreel up`: each is started again when it ends by itself, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nightreel.errors import UserError

DEATHS, WITHIN_S = 3, 600.0  # a service that ends more often than this has a fault that a new start does not mend


class Running(Protocol):
    """Something that runs until it ends by itself."""

    @property
    def log(self) -> Path | None:
        """Where it says what it does."""

    def ended(self) -> bool:
        """Whether it has ended."""


@dataclass
class Service:
    """A service and how to start it again.

    again: Starts a new one in the place of one that ended; None where all else depends on it.
    """

    name: str
    now: Running
    again: Callable[[], Running] | None = None
    deaths: list[float] = field(default_factory=list)

    def mend(self, say: Callable[[str], None]) -> None:
        """Start it again if it has ended.

        Args:
            say: Takes a line for the terminal.

        Raises:
            UserError: It ended, and is not started again, or too often.
        """
        if not self.now.ended():
            return
        since = time.monotonic() - WITHIN_S
        self.deaths = [moment for moment in self.deaths if moment > since] + [time.monotonic()]
        if self.again is None or len(self.deaths) > DEATHS:
            often = f" {len(self.deaths)} times in {WITHIN_S / 60:.0f} minutes" if len(self.deaths) > 1 else ""
            raise UserError(
                f"{self.name}: ended by itself{often}. Its log says why: {self.now.log}. Start `nightreel up` again: "
                "what was under way is ended then, and later nights come."
            )
        say(f"{self.name} ended by itself; it is started again. Its log: {self.now.log}")
        self.now = self.again()
