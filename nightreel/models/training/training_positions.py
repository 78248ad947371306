"""Held-out positions: a history up to a point in time, and what came next. Rankers are trained and scored on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories


@dataclass(frozen=True)
class Positions:
    """p held-out positions.

    Attributes:
        histories: p rows, the events before each position, negative ones included.
        moments: [p] the time of each position.
        targets: p rows, the held-out events; of these, those that say that the user took to the item.
        users: int64 [p] the user of each position, so that a split can keep a user's positions together.
    """

    histories: Histories
    moments: FloatArray
    targets: Histories
    users: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: npt.NDArray[np.int64]) -> Positions:
        """The positions at the given indices."""
        return Positions(self.histories.take(rows), self.moments[rows], self.targets.take(rows), self.users[rows])

    def first_meetings(self) -> Positions:
        """Keep only targets that are new to the user, and positions that have one."""
        known = self.histories.met()
        n_items = int(max(known.items.max(initial=0), self.targets.items.max(initial=0))) + 1
        met = known.rows * n_items + known.items
        targets = self.targets.where(~np.isin(self.targets.rows * n_items + self.targets.items, met))
        new = Positions(self.histories, self.moments, targets, self.users)
        return new.take(np.flatnonzero(targets.lengths > 0))


def joined(parts: Sequence[Positions]) -> Positions:
    """Concatenate positions."""
    return Positions(
        stacked([part.histories for part in parts]),
        np.concatenate([part.moments for part in parts]),
        stacked([part.targets for part in parts]),
        np.concatenate([part.users for part in parts]),
    )


def stacked(parts: Sequence[Histories]) -> Histories:
    """Concatenate the rows of several histories."""
    lengths = np.concatenate([part.lengths for part in parts])
    negatives = [part.negatives for part in parts if part.negatives is not None]
    gains = [part.gains for part in parts if part.gains is not None]
    return Histories(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.times for part in parts]),
        negatives=stacked(negatives) if len(negatives) == len(parts) > 0 else None,
        gains=np.concatenate(gains) if len(gains) == len(parts) > 0 else None,
    )


def from_end(histories: Histories) -> npt.NDArray[np.int64]:
    """[nnz] 1 for a row's last event, 2 for the one before it, and so on."""
    return np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))


def without_tail(histories: Histories, count: int, least: int) -> Histories:
    """Remove the last `count` events of every row, but none of its first `least`."""
    start = np.repeat(histories.indptr[:-1], histories.lengths)
    place = np.arange(len(histories.items)) - start
    kept = histories.where((from_end(histories) > count) | (place < least))
    return kept.negatives_before(np.nan_to_num(kept.last_times, nan=-np.inf))


def tail(histories: Histories, back: int, least: int) -> Positions:
    """Hold out the `back`-th last event of every history that has at least `least` events before it.

    A position's time is that of the event before it, because the target's own time is not known in advance. Negative
    events count up to the target.
    """
    rows = np.flatnonzero(histories.lengths >= back + least)
    chosen = histories.take(rows)
    before, at = from_end(chosen) > back, from_end(chosen) == back
    known = chosen.where(before)
    targets = chosen.where(at)
    held_out = Positions(known.negatives_before(targets.times), known.last_times, targets.relevant, rows)
    return held_out.take(np.flatnonzero(held_out.targets.lengths > 0))


def window(histories: Histories, start: float, end: float, *, newcomers: bool = False) -> Positions:
    """Hold out what users do in [start, end), with everything before `start` as history.

    Args:
        histories: One row a user.
        start: Time of the positions.
        end: End of the period, exclusive.
        newcomers: Whether to include users without an event before `start`.
    """
    row = histories.rows
    before, inside = histories.times < start, (histories.times >= start) & (histories.times < end)
    n = len(histories)
    known = newcomers | (np.bincount(row[before], minlength=n) > 0)
    coming = histories.where(inside).relevant
    users = np.flatnonzero(known & (coming.lengths > 0))
    past, coming = histories.before(start).take(users), coming.take(users)
    return Positions(past, np.full(len(users), start), coming, users)
