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

    def stop(self) -> object:
        """End what is left of it: its own children, which may hold its port."""


@dataclass
class Service:
    """A service and how to restart it.

    again: Starts it again; None if all other services depend on it, or if it has been given up.
    optional: Nights run without it, so it is given up where all else would end.
    """

    name: str
    now: Running
    again: Callable[[], Running] | None = None
    optional: bool = False
    deaths: list[float] = field(default_factory=list)

    def restart_if_ended(self, say: Callable[[str], None]) -> None:
        """Restart the service if it has ended.

        Args:
            say: Takes a line for the terminal.

        Raises:
            UserError: It ended and can't be restarted, or it ended too often.
        """
        if not self.now.ended() or (self.optional and self.again is None):
            return
        self.now.stop()
        since = time.monotonic() - WITHIN_S
        self.deaths = [moment for moment in self.deaths if moment > since] + [time.monotonic()]
        if self.again is None or len(self.deaths) > DEATHS:
            often = f" {len(self.deaths)} times in {WITHIN_S / 60:.0f} minutes" if len(self.deaths) > 1 else ""
            what = f"{self.name}: ended by itself{often}. See its log: {self.now.log}."
            if not self.optional:
                raise UserError(
                    f"{what} Start `nightreel up` again: it ends interrupted runs, so that the schedule continues."
                )
            say(f"{what} It stays off until `nightreel up` is started again; runs continue without it.")
            self.again = None
            return
        say(f"{self.name} ended by itself and is being restarted. See its log: {self.now.log}")
        self.now = self.again()
