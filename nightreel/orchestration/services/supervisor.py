"""Restarts the services of `nightreel up` when they end by themselves, up to a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nightreel.errors import UserError

DEATHS, WITHIN_S = 3, 600.0  # a service that ends more often than this has a fault that restarting does not fix


class Running(Protocol):
    """A running process."""

    @property
    def log(self) -> Path | None:
        """Its log file."""

    def ended(self) -> bool:
        """Whether it has ended."""


@dataclass
class Service:
    """A service and how to restart it.

    again: Starts it again; None if all other services depend on it.
    """

    name: str
    now: Running
    again: Callable[[], Running] | None = None
    deaths: list[float] = field(default_factory=list)

    def restart_if_ended(self, say: Callable[[str], None]) -> None:
        """Restart the service if it has ended.

        Args:
            say: Takes a line for the terminal.

        Raises:
            UserError: It ended and can't be restarted, or it ended too often.
        """
        if not self.now.ended():
            return
        since = time.monotonic() - WITHIN_S
        self.deaths = [moment for moment in self.deaths if moment > since] + [time.monotonic()]
        if self.again is None or len(self.deaths) > DEATHS:
            often = f" {len(self.deaths)} times in {WITHIN_S / 60:.0f} minutes" if len(self.deaths) > 1 else ""
            raise UserError(
                f"{self.name}: ended by itself{often}. See its log: {self.now.log}. Start `nightreel up` again: it "
                "ends interrupted runs, so that the schedule continues."
            )
        say(f"{self.name} ended by itself and is being restarted. See its log: {self.now.log}")
        self.now = self.again()
