"""One fold to learn on: what weights are learned from, and the positions that settings and blend are chosen on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.training.training_positions import Positions, joined, tail, window, without_tail

LEAST_HISTORY = 3  # events before a position, for it to tell anything of a taste
DAY = 86_400.0


@dataclass(frozen=True)
class TimeCut:
    """What was known at some time, and what came next. known: histories that weights may be learned from, a row a user;
    positions: questions about the time right after, with their answers; newcomers: the same of users of whom nothing
    was known, whom popularity alone can answer."""

    known: Histories
    positions: Positions
    newcomers: Positions | None = None


@dataclass(frozen=True)
class Task:
    """One fold to learn on. lessons: at least one, the oldest first; each knows what those before it know and more. All
    but the first are judged by what the ones before them taught."""

    lessons: tuple[TimeCut, ...]
    in_time: bool = False
    """Whether the lessons follow each other in time, and the next one begins where the fold's histories end."""
    size: int = 0
    """Events of a lesson in time."""

    @property
    def tried(self) -> tuple[TimeCut, ...]:
        """The lessons on which members' settings are tried: the last two, the first one never."""
        return self.lessons[max(1, len(self.lessons) - 2) :] or self.lessons

    @property
    def train(self) -> Histories:
        """What the last lesson knows."""
        return self.lessons[-1].known

    @property
    def valid(self) -> Positions:
        """The last lesson's questions."""
        return self.lessons[-1].positions

    @property
    def inner(self) -> Histories:
        """What the first lesson knows."""
        return self.lessons[0].known

    @property
    def earlier(self) -> Positions:
        """The first lesson's questions."""
        return self.lessons[0].positions


@dataclass(frozen=True)
class Cuts:
    """How lessons in time are cut. most: lessons; users: that each should ask at least; share: of all events that one
    may take at most; new: whether answers that their user has met before are left out."""

    most: int
    users: int
    share: float
    new: bool


def leave_last_out_task(train: Histories, valid: Histories, positions: int) -> Task:
    """The task of a fold whose train and valid positives are given (one row a user): each user is asked about the last
    `positions` events of train, and then about the validation event."""
    rows = np.flatnonzero((train.lengths > 0) & (valid.lengths > 0))
    known = train.take(rows)
    asked = Positions(known, known.last_times, valid.take(rows), rows)
    earlier = joined([tail(train, back, LEAST_HISTORY) for back in range(1, positions + 1)])
    inner = without_tail(train, positions, LEAST_HISTORY)
    return Task((TimeCut(inner, earlier), TimeCut(train, asked)))


def task_in_time(known: Histories, cuts: Cuts) -> Task:
    """The task of a fold cut at one time, from all positives before the cut: as on so many earlier nights, everything
    up to an instant is known, and what users do right after it is asked for.

    A lesson has as many events as the last day, or more where a day has too few users to tell anything; the last one
    ends where the histories end, and the first knows at least half of all events.
    """
    times = np.sort(known.times)
    most = max(1, int(len(times) * min(cuts.share, 0.5 / cuts.most)))
    size = min(int((times > times[-1] - DAY).sum()), most) if len(times) else 0
    while size:
        lessons = _lessons(known, times, size, cuts)
        asked = [len(lesson.positions) for lesson in lessons]
        if size >= most or np.mean(asked) >= cuts.users:
            filled = tuple(lesson for lesson in lessons if len(lesson.positions))
            return Task(filled or (TimeCut(known, _nothing(known)),), in_time=True, size=size)
        size = min(2 * size, most)
    return Task((TimeCut(known, _nothing(known)),), in_time=True)


def _lessons(known: Histories, times: FloatArray, size: int, cuts: Cuts) -> list[TimeCut]:
    """At most `cuts.most` lessons of `size` events, more where many share an instant. times: all events', ascending."""
    whole = min(cuts.most, len(times) // size)  # a log of three events has no fourth lesson of one
    starts = {float(times[len(times) - size * back]) for back in range(1, whole + 1)}
    edges = [*sorted(starts), np.inf]
    return [_lesson(known, start, end, cuts.new) for start, end in pairwise(edges)]


def _lesson(known: Histories, start: float, end: float, new: bool) -> TimeCut:
    asked = window(known, start, end, newcomers=True)
    asked = asked.first_meetings() if new else asked
    met = asked.histories.lengths > 0
    known_by_then = known.where(known.times < start)
    return TimeCut(known_by_then, asked.take(np.flatnonzero(met)), asked.take(np.flatnonzero(~met)))


def next_cut(known: Histories, start: float, size: int, new: bool) -> Positions:
    """What users do from `start` on, in the first `size` events."""
    later = np.sort(known.times[known.times >= start])
    end = float(later[size]) if len(later) > size else np.inf
    return _lesson(known, start, end, new).positions


def _nothing(known: Histories) -> Positions:
    none = known.take(np.empty(0, np.int64))
    return Positions(none, np.empty(0), none, np.empty(0, np.int64))


def limited(task: Task, most: int, positions: int, generator: np.random.Generator) -> Task:
    """The task with at most `most` questions in a lesson, and `positions` times as many in the first one where the
    lessons don't follow each other in time (it then asks each user so often). Drawn at random, in their order."""
    lessons = []
    for number, lesson in enumerate(task.lessons):
        limit = most * (1 if number or task.in_time else positions)
        newcomers = lesson.newcomers and sampled(lesson.newcomers, limit, generator)
        lessons.append(replace(lesson, positions=sampled(lesson.positions, limit, generator), newcomers=newcomers))
    return replace(task, lessons=tuple(lessons))


def sampled(positions: Positions, most: int, generator: np.random.Generator) -> Positions:
    """At most `most` positions, drawn at random, in their order."""
    if len(positions) <= most:
        return positions
    return positions.take(np.sort(generator.choice(len(positions), most, replace=False)))
