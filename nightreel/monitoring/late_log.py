"""A delivery that is late: the newest events are missing from a log that normally has them every night.

What is normal is learned from the history of nights. The lag of a night is the time from the end of its log to its
beginning. Where the lags of the nights before are alike, to a quarter of the time between two nights, a lag that is
longer than all of them by at least half of that time is late. A weekly delivery, or a platform that rests on Sundays,
has lags that differ; then nothing is normal, and nothing late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from nightreel.monitoring.night import Night, Trigger

LEAST = 5
"""Nights from which on something is normal."""
SPAN, WINDOW = 7, 14
"""Over how many times between two nights they must reach, so that each day of the week is among them; and at most."""
ALIKE, LATE = 0.25, 0.5
"""Of the time between two nights: how much normal lags may differ, and how much longer a late one is."""
PLANNED: tuple[Trigger, ...] = ("schedule", "replay")


@dataclass(frozen=True)
class LateLog:
    """That the log is late.

    Attributes:
        first: The first of the nights in a row on which it was.
        night: The last one.
        usual: Longest normal lag, seconds.
        nights: Number of nights that make it normal.
    """

    first: Night
    night: Night
    usual: float
    nights: int


@dataclass
class _Habit:
    """What is normal up to a night. step: seconds between two nights; usual: the nights that count as normal, or from
    which it is still to be learned; late: those in a row since; normal: the lags by which they were judged."""

    step: float
    usual: list[Night] = field(default_factory=list)
    late: list[Night] = field(default_factory=list)
    normal: list[float] = field(default_factory=list)

    def known(self, night: Night) -> bool:
        """Whether this night can be judged by the normal ones."""
        return (
            len(self.usual) >= LEAST
            and night.began - self.usual[0].began >= (SPAN - ALIKE) * self.step
            and self._alike(self.usual)
        )

    def take(self, night: Night) -> None:
        """Judge a night, and learn from it."""
        if not self.known(night):
            self.late = [] if self.late and self.caught_up(night) else self.late
            self._learn(night)
        elif lag(night) < max(map(lag, self.usual)) + LATE * self.step:
            self.late = []
            self._learn(night)
        else:
            self.late.append(night)
            self.normal = [lag(each) for each in self.usual]
            if len(self.late) > SPAN and self._alike(self.late):  # it has become normal
                self.usual, self.late = self.late, []

    def caught_up(self, night: Night) -> bool:
        """Whether the log of a night has what was missing."""
        return until(night) >= until(self.late[0]) + LATE * self.step

    def forget(self) -> None:
        """Learn anew: the timetable has changed."""
        self.usual = []

    def _learn(self, night: Night) -> None:
        self.usual = [*self.usual, night][-WINDOW:]

    def _alike(self, nights: Sequence[Night]) -> bool:
        lags = [lag(night) for night in nights]
        return max(lags) - min(lags) <= ALIKE * self.step


def until(night: Night) -> float:
    """End of a night's log, epoch seconds; of nights for which it is known."""
    assert night.data_until is not None
    return night.data_until


def lag(night: Night) -> float:
    """Seconds from the end of a night's log to the beginning of the night."""
    return night.began - until(night)


def late_log(nights: Sequence[Night]) -> LateLog | None:
    """Return whether the log of the last night is late; None if it is not, or if nothing is normal.

    Nights of the schedule count if there are enough of them, so that a run by hand at another time of the day says
    nothing but that the log has caught up.

    Args:
        nights: The latest first.

    Example:
        >>> day = 86_400.0
        >>> def night(number: int, lag: float) -> Night:
        ...     times = {"began": number * day, "data_until": number * day - lag}
        ...     return Night(id=str(number), trigger="schedule", outcome="promoted", **times)
        >>> normal = [night(number, lag=3600.0) for number in range(8)]
        >>> found = late_log([night(8, lag=day + 3600.0), *reversed(normal)])
        >>> found.night.id, found.usual, found.nights
        ('8', 3600.0, 8)
        >>> late_log([night(8, lag=7200.0), *reversed(normal)])
    """
    done = [night for night in reversed(nights) if night.data_until is not None and night.outcome != "running"]
    same = [night for night in done if night.source == done[-1].source]
    planned = [night for night in same if night.trigger in PLANNED]
    planned = planned if len(planned) >= LEAST else same
    if len(planned) <= LEAST:
        return None
    habit = _Habit(median(after.began - before.began for before, after in pairwise(planned)))
    habit.take(planned[0])
    for before, night in pairwise(planned):
        steps = (night.began - before.began) / max(habit.step, 1.0)
        if abs(steps - round(steps)) > ALIKE:
            habit.forget()
        habit.take(night)
    by_hand = same[-1] is not planned[-1]
    if not habit.late or (by_hand and habit.caught_up(same[-1])):
        return None
    return LateLog(habit.late[0], habit.late[-1], max(habit.normal), len(habit.normal))
