"""One fold to learn on: what weights are learned from, and the positions that settings and blend are chosen on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.data.histories import Histories
from tasks.models.positions import Positions, joined, tail, window, without_tail

LEAST_HISTORY = 3  # events before a position, for it to tell anything of a taste


@dataclass(frozen=True)
class Task:
    """One fold to learn on. train: histories that weights may be learned from; valid: positions to choose on;
    earlier: positions inside train for the blend; inner: train without their answers."""

    train: Histories
    valid: Positions
    earlier: Positions
    inner: Histories


def task_of(train: Histories, valid: Histories, positions: int, start: float | None) -> Task:
    """The task of a fold whose train and valid positives are given (one row a user).

    start: when validation begins, for folds cut at one time; None: each user's own last event. Under a global cut the
    earlier positions are windows of validation's length, so that what the blend sees is as it will be asked.
    """
    if start is None:
        rows = np.flatnonzero((train.lengths > 0) & (valid.lengths > 0))
        known = train.take(rows)
        asked = Positions(known, known.last_times, valid.take(rows), rows)
        earlier = joined([tail(train, back, LEAST_HISTORY) for back in range(1, positions + 1)])
        return Task(train, asked, earlier, without_tail(train, positions, LEAST_HISTORY))
    length = float(valid.times.max()) - start if len(valid.times) else 0.0
    both = window(joined_rows(train, valid), start, np.inf)
    starts = [start - length * back for back in range(1, positions + 1) if length > 0]
    starts = [s for s in starts if (train.times < s).sum() * 2 >= len(train.times)] or [start]
    earlier = joined([window(train, s, min(s + length, start)) for s in starts])
    return Task(train, both, earlier, train.where(train.times < min(starts)))


def joined_rows(first: Histories, second: Histories) -> Histories:
    """Row by row, the events of both in time order."""
    users = np.concatenate([first.rows, second.rows])
    items, times = np.concatenate([first.items, second.items]), np.concatenate([first.times, second.times])
    return Histories.from_events(users, items, times, len(first))
