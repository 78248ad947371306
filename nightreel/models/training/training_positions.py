"""Held-out positions: what was known at a moment, and what came next. The blend is learned and judged on these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories


@dataclass(frozen=True)
class Positions:
    """p positions. histories: what came before; moments: [p] when the question is asked; targets: the answers;
    users: int64 [p] whose they are (so that one user's positions stay on one side of a split)."""

    histories: Histories
    moments: FloatArray
    targets: Histories
    users: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: npt.NDArray[np.int64]) -> Positions:
        """The given positions."""
        return Positions(self.histories.take(rows), self.moments[rows], self.targets.take(rows), self.users[rows])

    def first_meetings(self) -> Positions:
        """Only answers that are new to their user, and the positions that have one."""
        n_items = int(max(self.histories.items.max(initial=0), self.targets.items.max(initial=0))) + 1
        met = self.histories.rows * n_items + self.histories.items
        targets = self.targets.where(~np.isin(self.targets.rows * n_items + self.targets.items, met))
        new = Positions(self.histories, self.moments, targets, self.users)
        return new.take(np.flatnonzero(targets.lengths > 0))


def joined(parts: Sequence[Positions]) -> Positions:
    """All positions of `parts`, in order."""
    return Positions(
        stacked([part.histories for part in parts]),
        np.concatenate([part.moments for part in parts]),
        stacked([part.targets for part in parts]),
        np.concatenate([part.users for part in parts]),
    )


def stacked(parts: Sequence[Histories]) -> Histories:
    """Rows of several histories, one after another."""
    lengths = np.concatenate([part.lengths for part in parts])
    return Histories(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.times for part in parts]),
    )


def from_end(histories: Histories) -> npt.NDArray[np.int64]:
    """[nnz] 1 for a row's last event, 2 for the one before it, and so on."""
    return np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))


def without_tail(histories: Histories, count: int, least: int) -> Histories:
    """Histories without their last `count` events; a row keeps at least its first `least`."""
    start = np.repeat(histories.indptr[:-1], histories.lengths)
    place = np.arange(len(histories.items)) - start
    return histories.where((from_end(histories) > count) | (place < least))


def tail(histories: Histories, back: int, least: int) -> Positions:
    """The `back`-th last event of every history that has at least `least` events before it.

    Asked at the moment of the event before: the answer's own time is not known yet.
    """
    rows = np.flatnonzero(histories.lengths >= back + least)
    chosen = histories.take(rows)
    before, at = from_end(chosen) > back, from_end(chosen) == back
    known = chosen.where(before)
    return Positions(known, known.last_times, chosen.where(at), rows)


def window(histories: Histories, start: float, end: float, *, newcomers: bool = False) -> Positions:
    """What each user does in [start, end), asked at `start` of everything before; users active in both, with
    `newcomers` also those of whom nothing was known before."""
    row = histories.rows
    before, inside = histories.times < start, (histories.times >= start) & (histories.times < end)
    n = len(histories)
    known = newcomers | (np.bincount(row[before], minlength=n) > 0)
    users = np.flatnonzero(known & (np.bincount(row[inside], minlength=n) > 0))
    past, coming = histories.where(before).take(users), histories.where(inside).take(users)
    return Positions(past, np.full(len(users), start), coming, users)
