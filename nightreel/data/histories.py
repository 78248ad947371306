"""Histories: ragged item sequences per user in time order, the only form in which models see behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
ItemArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
STEP = np.uint64(0x9E3779B97F4A7C15)
"""Constants of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""


@dataclass(frozen=True)
class Histories:
    """n item sequences with times.

    Attributes:
        indptr: [n + 1] int64; row i is items[indptr[i]:indptr[i + 1]].
        items: [nnz] int32 item indices.
        times: [nnz] float64, ascending in a row: epoch seconds, or positions where the source has no clock.
        values: [nnz] float64 rating of each event, NaN if it has none; None where ratings are not needed.
    """

    indptr: IntArray
    items: ItemArray
    times: FloatArray
    values: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def lengths(self) -> IntArray:
        """[n] events per row."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> IntArray:
        """[nnz] row of each event."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    @property
    def last_times(self) -> FloatArray:
        """[n] time of each row's last event; NaN for an empty row."""
        last = np.full(len(self), np.nan)
        filled = self.lengths > 0
        last[filled] = self.times[self.indptr[1:][filled] - 1]
        return last

    def __getitem__(self, row: int) -> tuple[ItemArray, FloatArray]:
        span = slice(self.indptr[row], self.indptr[row + 1])
        return self.items[span], self.times[span]

    def row(self, row: int) -> Histories:
        """One row, without access to the others."""
        items, times = self[row]
        return Histories(np.array([0, len(items)], np.int64), items, times)

    def take(self, rows: Sequence[int] | IntArray) -> Histories:
        """The given rows, in that order."""
        picked = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[picked]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(self.indptr[:-1][picked] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Histories(indptr, self.items[at], self.times[at], None if self.values is None else self.values[at])

    def where(self, mask: npt.NDArray[np.bool_]) -> Histories:
        """Only the events for which mask [nnz] is true; the number of rows stays the same."""
        kept = np.concatenate([[0], np.cumsum(mask)])
        values = None if self.values is None else self.values[mask]
        return Histories(kept[self.indptr].astype(np.int64), self.items[mask], self.times[mask], values)

    @classmethod
    def from_events(cls, users: npt.ArrayLike, items: npt.ArrayLike, times: npt.ArrayLike, n_users: int) -> Histories:
        """Group events by user; events of equal user and time keep their order."""
        u, t = np.asarray(users, np.int64), np.asarray(times, np.float64)
        order = np.lexsort((t, u))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(u, minlength=n_users))]).astype(np.int64)
        return cls(indptr, np.asarray(items, np.int32)[order], t[order])

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[Sequence[int], Sequence[float]]]) -> Histories:
        """Histories of (items, times) pairs, each already in time order."""
        pairs = [(np.asarray(i, np.int32), np.asarray(t, np.float64)) for i, t in rows]
        indptr = np.concatenate([[0], np.cumsum([len(i) for i, _ in pairs])]).astype(np.int64)
        if not pairs:
            return cls(indptr, np.empty(0, np.int32), np.empty(0))
        return cls(indptr, np.concatenate([i for i, _ in pairs]), np.concatenate([t for _, t in pairs]))


def users_in_order(
    user: npt.NDArray[np.integer[Any]], time: FloatArray, columns: Sequence[npt.NDArray[np.number[Any]]]
) -> npt.NDArray[np.int64]:
    """Users by the time of their first event, of equal times by what their events are: never by what they are called.

    All that is drawn, sampled or added up over users follows this order. By name, a new pseudonym key or other user ids
    would draw other samples of the same data, and so give other lists. Users whose events are all equal keep the order
    of their numbers, which makes no difference.

    Args:
        user: [n] number of each event's user, from 0, ascending; every number has an event.
        time: [n] of each event, ascending within a user.
        columns: [n] each: what else tells events apart, none of it depending on users' names.

    Returns:
        [users] their numbers, in order.

    Example:
        >>> users_in_order(np.array([0, 1, 1]), np.array([7.0, 5.0, 9.0]), [np.array([3, 3, 3])]).tolist()
        [1, 0]
    """
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    event = (np.arange(len(user)) - np.repeat(starts, np.diff(starts, append=len(user)))).astype(np.uint64) * STEP
    for column in (time, *columns):
        event = _mixed(event ^ _bits(column))
    digest = np.add.reduceat(event, starts) if len(starts) else event
    return np.lexsort((digest, time[starts]))


def _bits(column: npt.NDArray[np.number[Any]]) -> Hashes:
    """Numbers as whole ones; equal cells are equal, and NaN is one of them."""
    return (np.nan_to_num(column.astype(np.float64), nan=-1.5) + 0.0).view(np.uint64)


def _mixed(numbers: Hashes) -> Hashes:
    """SplitMix64's finaliser: each bit of a number changes half of the result's."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * SECOND
    return numbers ^ (numbers >> np.uint64(31))
