"""Progress of a long loop as log lines with the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable

from nightreel.durations import in_words
from nightreel.stage import log_progress

EVERY_S, LONGEST_S = 5.0, 60.0
"""Least and greatest number of seconds between two lines."""
SHARE = 0.25
"""The pause after a line, as a share of the time until then: a long stage has few lines, a short one has some."""


class Progress:
    """Logs `<what> 1,200 of 9,742 (12%), 45 s left`, more and more seldom, and once at the end."""

    def __init__(
        self,
        what: str,
        total: int,
        tell: Callable[[str], None] = log_progress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what, self.total, self.tell, self.clock = what, total, tell, clock
        self.began = self.told = clock()
        self.finished = False

    def __call__(self, done: int, share: float) -> None:
        """done: finished part of the total; share: share of the work, 0 to 1, from which the remaining time is
        estimated."""
        if self.finished:
            return
        now = self.clock()
        spent = now - self.began
        if done >= self.total:
            self.finished = True
            rate = done / max(spent, 1e-9)
            shown = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
            self.tell(f"{self.what} {done:,} of {self.total:,} in {spent:.1f} s ({shown} per second)")
        elif now - self.told >= min(max(EVERY_S, SHARE * (self.told - self.began)), LONGEST_S):
            self.told = now
            left = spent * (1 - share) / max(share, 1e-9)
            self.tell(f"{self.what} {done:,} of {self.total:,} ({share:.0%}), {in_words(left)} left")
