"""A replayed night in the history of nights, by the replayed clock: what an operator would have been told of it.

The replay's own state directory has the history, the plan and what was told, as that of a live channel. Every time in
them is the replayed night's: a night begins when it was planned for, and ends after as long as it really took. So
`nightreel.monitoring` sees the clock of the log, not that of the machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.monitoring import expected, history, notifications
from nightreel.monitoring.night import Night
from nightreel.monitoring.status import PipelineStatus, status
from nightreel.settings.params_file import Settings

Facts = dict[str, Any]
LOOK_AFTER_S = 15 * 60.0
"""After a night's end, or after its time if it never began: when its status is taken."""


@dataclass
class ReplayedNight:
    """A night's entry. moment: its time, epoch seconds; began: on this machine's monotonic clock."""

    state: Path
    moment: float
    began: float
    night: Night

    @property
    def file(self) -> Path:
        """The night's file, for its stages."""
        return history.path(self.state, self.night)

    @property
    def ended(self) -> float:
        """When it ended; while it runs, the replayed clock."""
        return self.moment + time.monotonic() - self.began if self.night.ended is None else self.night.ended

    def finish(self, facts: Facts) -> None:
        """Write what came of it, and tell of it if it is bad."""
        self.night = history.finish(self.state, self.night, facts | {"ended": self.ended})
        notifications.after_night(self.state, self.night)


def begin(state: Path, moment: float) -> ReplayedNight:
    """Write that a night has begun, in place of one that a killed replay began at this time."""
    for before in history.nights(state):
        if before.began == moment:
            history.path(state, before).unlink(missing_ok=True)
    return ReplayedNight(state, moment, time.monotonic(), history.begin(state, "replay", began=moment))


def plan_of(state: Path, moment: float) -> None:
    """Note that a night is planned, as Prefect's server tells it before."""
    expected.remember(state, moment, paused=False, nights=history.nights(state), now=moment - LOOK_AFTER_S)


def look(state: Path, store: str, settings: Settings, at: float) -> PipelineStatus:
    """Take the status as `nightreel watch` does, and send what it finds.

    Args:
        state: The replay's state directory.
        store: URI of the replay's store.
        settings: Of the replay.
        at: Epoch seconds of the replayed clock.
    """
    found = status(state, store, settings.snapshot.channel, settings.watch, now=at)
    urgent = [alert for alert in found.alerts if alert.urgent]
    notifications.tell(state, urgent, tuple(notifications.TITLES))
    return found
