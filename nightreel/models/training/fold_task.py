"""The training task of one fold: histories to train models on, and held-out positions to select and train rankers
on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.outcomes.outcome_log import OutcomeLog
from nightreel.models.training.training_positions import Positions, joined, tail, window, without_tail

LEAST_HISTORY = 3  # events before a position; with fewer it says too little about a taste
DAY = 86_400.0


@dataclass(frozen=True)
class TimeCut:
    """Training data up to a point in time, and held-out positions right after it.

    Attributes:
        known: Histories that models may be trained on, one row a user.
        positions: Held-out positions of users with a history, with their targets.
        newcomers: The same for users without a history, for whom only popularity can be scored.
    """

    known: Histories
    positions: Positions
    newcomers: Positions | None = None


@dataclass(frozen=True)
class Task:
    """The training task of one fold.

    Attributes:
        time_cuts: At least one, the oldest first; each includes the events of those before it. Rankers trained on the
            earlier cuts are scored on every cut but the first.
        in_time: Whether the cuts follow each other in time, up to the end of the fold's histories.
        size: Events between two cuts, where they follow each other in time.
        outcomes: What came of the items that users met, where the cuts follow each other in time; None where the log
            tells nothing beyond what is wanted.
    """

    time_cuts: tuple[TimeCut, ...]
    in_time: bool = False
    size: int = 0
    outcomes: OutcomeLog | None = None

    @property
    def tried(self) -> tuple[TimeCut, ...]:
        """The cuts on which hyper-parameters are compared: the last two, never the first."""
        return self.time_cuts[max(1, len(self.time_cuts) - 2) :] or self.time_cuts

    @property
    def train(self) -> Histories:
        """Training histories of the last cut."""
        return self.time_cuts[-1].known

    def spans(self) -> list[tuple[TimeCut, float, float]]:
        """The cuts, each with the time from which and up to which its positions are held out."""
        times = np.concatenate([self.train.times, self.valid.targets.times])
        starts = [float(cut.positions.moments.min(initial=np.inf)) for cut in self.time_cuts]
        return list(zip(self.time_cuts, starts, [*starts[1:], float(times.max(initial=0.0))], strict=True))

    @property
    def valid(self) -> Positions:
        """Held-out positions of the last cut."""
        return self.time_cuts[-1].positions

    @property
    def inner(self) -> Histories:
        """Training histories of the first cut."""
        return self.time_cuts[0].known

    @property
    def earlier(self) -> Positions:
        """Held-out positions of the first cut."""
        return self.time_cuts[0].positions


@dataclass(frozen=True)
class Cuts:
    """How time cuts are made.

    Attributes:
        most: Maximum number of cuts.
        users: Users wanted per cut, on average.
        share: Maximum share of all events between two cuts.
        new: Whether targets that the user has interacted with before are left out.
    """

    most: int
    users: int
    share: float
    new: bool


def leave_last_out_task(train: Histories, valid: Histories, positions: int) -> Task:
    """The task of a leave-last-out fold: held out are the last events of train, then the validation event.

    Args:
        train: Training positives, one row a user.
        valid: Validation positives, one row a user.
        positions: Number of last events of `train` that are held out per user in the first cut.
    """
    rows = np.flatnonzero((train.lengths > 0) & (valid.lengths > 0))
    known = train.take(rows)
    held_out = Positions(known, known.last_times, valid.take(rows), rows)
    earlier = joined([tail(train, back, LEAST_HISTORY) for back in range(1, positions + 1)])
    inner = without_tail(train, positions, LEAST_HISTORY)
    return Task((TimeCut(inner, earlier), TimeCut(train, held_out)))


def task_in_time(known: Histories, cuts: Cuts) -> Task:
    """The task of a global-time fold, from all positives before the fold's cut.

    As on earlier nights, models are trained on everything before a time cut and scored on what users do right after it.
    Between two cuts are as many events as on the last day, or more where a day has fewer than `cuts.users` users. The
    last period ends with the histories; at least half of all events are before the first cut.
    """
    times = np.sort(known.times)
    most = max(1, int(len(times) * min(cuts.share, 0.5 / cuts.most)))
    size = min(int((times > times[-1] - DAY).sum()), most) if len(times) else 0
    while size:
        time_cuts = _time_cuts(known, times, size, cuts)
        counts = [len(cut.positions) for cut in time_cuts]
        if size >= most or np.mean(counts) >= cuts.users:
            filled = tuple(cut for cut in time_cuts if len(cut.positions))
            return Task(filled or (TimeCut(known, _nothing(known)),), in_time=True, size=size)
        size = min(2 * size, most)
    return Task((TimeCut(known, _nothing(known)),), in_time=True)


def _time_cuts(known: Histories, times: FloatArray, size: int, cuts: Cuts) -> list[TimeCut]:
    """At most `cuts.most` cuts, `size` events apart (more where times are equal). times: of all events, ascending."""
    whole = min(cuts.most, len(times) // size)  # a log of three events allows no fourth cut
    starts = {float(times[len(times) - size * back]) for back in range(1, whole + 1)}
    edges = [*sorted(starts), np.inf]
    return [_time_cut(known, start, end, cuts.new) for start, end in pairwise(edges)]


def _time_cut(known: Histories, start: float, end: float, new: bool) -> TimeCut:
    held_out = window(known, start, end, newcomers=True)
    held_out = held_out.first_meetings() if new else held_out
    has_history = held_out.histories.lengths > 0
    users, newcomers = np.flatnonzero(has_history), np.flatnonzero(~has_history)
    return TimeCut(known.before(start), held_out.take(users), held_out.take(newcomers))


def next_cut(known: Histories, start: float, size: int | None, new: bool) -> Positions:
    """Held-out positions of the period that begins at `start` and has `size` events; None: all that came later."""
    later = np.sort(known.times[known.times >= start])
    end = np.inf if size is None or len(later) <= size else float(later[size])
    return _time_cut(known, start, end, new).positions


def _nothing(known: Histories) -> Positions:
    none = known.take(np.empty(0, np.int64))
    return Positions(none, np.empty(0), none, np.empty(0, np.int64))


def limited(task: Task, most: int, positions: int, generator: np.random.Generator) -> Task:
    """The task with at most `most` held-out positions per cut, sampled at random, in their order.

    Where the cuts don't follow each other in time, the first one has `positions` of each user, and so `positions` times
    the limit.
    """
    time_cuts = []
    for number, cut in enumerate(task.time_cuts):
        limit = most * (1 if number or task.in_time else positions)
        newcomers = cut.newcomers and sampled(cut.newcomers, limit, generator)
        time_cuts.append(replace(cut, positions=sampled(cut.positions, limit, generator), newcomers=newcomers))
    return replace(task, time_cuts=tuple(time_cuts))


def sampled(positions: Positions, most: int, generator: np.random.Generator) -> Positions:
    """At most `most` positions, sampled at random, in their order."""
    if len(positions) <= most:
        return positions
    return positions.take(np.sort(generator.choice(len(positions), most, replace=False)))
