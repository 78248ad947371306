"""Histories: ragged item sequences per user in time order, the only form in which models see behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.data.contract.gains import RELEVANT, Gains
from nightreel.data.contract.verdicts import DISLIKED, NOTHING, UNKNOWN

IntArray = npt.NDArray[np.int64]
ItemArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
STEP = np.uint64(0x9E3779B97F4A7C15)
"""Constants of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""


USUAL, HEAVY = 0.95, 10.0


def most_usual(counts: npt.NDArray[np.integer[Any]]) -> float:
    """Events beyond which an account is no usual one: HEAVY times the most that the share USUAL of accounts has.

    Bots, test accounts and public devices are beyond it, keen people are not: MovieLens-100K's keenest user has 2.4
    times as many.

    Args:
        counts: [n] events of each account; accounts without events don't count.
    """
    used = counts[counts > 0]
    return HEAVY * float(np.quantile(used, USUAL, method="lower")) if len(used) else 0.0


@dataclass(frozen=True)
class Histories:
    """n item sequences with times.

    Attributes:
        indptr: [n + 1] int64; row i is items[indptr[i]:indptr[i + 1]].
        items: [nnz] int32 item indices.
        times: [nnz] float64, ascending in a row: epoch seconds, or positions where the source has no clock.
        values: [nnz] float64 rating of each event, NaN if it has none; None where ratings are not needed.
        verdicts: [nnz] int8 what the event says of the item, see nightreel.data.contract.verdicts; None where it is not
            known or not needed.
        negatives: n rows of negative events (dislikes, skips, …), which models that learn from positive events alone
            don't look at; None where the log has none.
        gains: [nnz] float32 how much each event says that the user took to the item, 0 to 1, see
            nightreel.data.contract.gains; None where every event says it fully.
    """

    indptr: IntArray
    items: ItemArray
    times: FloatArray
    values: FloatArray | None = None
    verdicts: npt.NDArray[np.int8] | None = None
    negatives: Histories | None = None
    gains: Gains | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def lengths(self) -> IntArray:
        """[n] events per row."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> IntArray:
        """[nnz] row of each event."""
        if len(self) == 1:  # a request; the general way takes many times as long
            return np.zeros(len(self.items), np.int64)
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    @cached_property
    def person_weights(self) -> FloatArray | None:
        """[nnz] weight of each event where people are counted, so that no account counts for more than the most that a
        usual one has, nor for more of one item; None if none does."""
        most = most_usual(self.lengths)
        pairs = self.rows * (int(self.items.max(initial=0)) + 1) + self.items
        _, pair, times = np.unique(pairs, return_inverse=True, return_counts=True)
        most_of_one = most_usual(times)
        if not ((self.lengths > most).any() or (times > most_of_one).any()):
            return None
        of_all = np.repeat(np.minimum(1.0, most / np.maximum(self.lengths, 1)), self.lengths)
        of_one = np.minimum(1.0, most_of_one / times)[pair]
        weights: FloatArray = np.minimum(of_all, of_one)
        return weights

    @cached_property
    def counted(self) -> FloatArray | None:
        """[nnz] weight of each event where people are counted: `person_weights` times the gain; None if all count
        fully."""
        if self.gains is None:
            return self.person_weights
        own = self.gains.astype(np.float64)
        return own if self.person_weights is None else own * self.person_weights

    @property
    def relevant(self) -> Histories:
        """Only the events that say that the user took to the item: what a list is meant to bring."""
        return self if self.gains is None else self.where(self.gains >= RELEVANT)

    @property
    def may_be_named(self) -> npt.NDArray[np.bool_]:
        """[nnz] whether an event's item may be named as one that the user liked: where no verdict is known, it may."""
        return np.ones(len(self.items), bool) if self.verdicts is None else self.verdicts != NOTHING

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
        span = slice(self.indptr[row], self.indptr[row + 1])
        negatives = None if self.negatives is None else self.negatives.row(row)
        return self._events(np.array([0, span.stop - span.start], np.int64), span, negatives)

    def take(self, rows: Sequence[int] | IntArray) -> Histories:
        """The given rows, in that order."""
        picked = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[picked]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(self.indptr[:-1][picked] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return self._events(indptr, at, None if self.negatives is None else self.negatives.take(picked))

    def where(self, mask: npt.NDArray[np.bool_]) -> Histories:
        """Only the events for which mask [nnz] is true, and all negative ones; the number of rows stays the same."""
        kept = np.concatenate([[0], np.cumsum(mask)])
        return self._events(kept[self.indptr].astype(np.int64), mask, self.negatives)

    def before(self, moment: float) -> Histories:
        """Only what happened before a moment, negative events included."""
        return self.where(self.times < moment).negatives_before(np.full(len(self), moment))

    def negatives_before(self, moments: FloatArray) -> Histories:
        """Without the negative events of each row that are not before its moment [n]; NaN keeps all."""
        if self.negatives is None:
            return self
        known = self.negatives.where(~(self.negatives.times >= moments[self.negatives.rows]))
        return replace(self, negatives=known)

    @property
    def disliked(self) -> Histories | None:
        """Items that each user disliked and did not like later; None if there are none."""
        if self.negatives is None or self.negatives.verdicts is None:
            return None
        found = self.negatives.where(np.isin(self.negatives.verdicts, DISLIKED))
        return found if len(found.items) else None

    def met(self) -> Histories:
        """Positive and negative events together; those of a row are in no order."""
        return self if self.negatives is None else self.beside(self.negatives)

    def beside(self, other: Histories) -> Histories:
        """The events of both in each row, in no order."""
        order = np.argsort(np.concatenate([self.rows, other.rows]), kind="stable")
        items, times = (
            np.concatenate([getattr(self, name), getattr(other, name)])[order] for name in ("items", "times")
        )
        return Histories(self.indptr + other.indptr, items, times)

    def renumbered(self, numbers: npt.NDArray[np.integer[Any]]) -> Histories:
        """With other item indices, without the events of items that have none (-1). numbers: [items] new index."""
        renamed = numbers[self.items]
        kept = self.where(renamed >= 0)
        negatives = None if self.negatives is None else self.negatives.renumbered(numbers)
        return replace(kept, items=renamed[renamed >= 0].astype(np.int32), negatives=negatives)

    def _events(
        self, indptr: IntArray, at: slice | IntArray | npt.NDArray[np.bool_], negatives: Histories | None
    ) -> Histories:
        """The events at these places, divided into rows by indptr."""
        values = None if self.values is None else self.values[at]
        verdicts = None if self.verdicts is None else self.verdicts[at]
        gains = None if self.gains is None else self.gains[at]
        return Histories(indptr, self.items[at], self.times[at], values, verdicts, negatives, gains)

    def followed_by(self, items: Sequence[int], times: Sequence[float], verdicts: Sequence[int]) -> Histories:
        """A history of one row with later events behind its own, which count fully."""
        before = np.full(len(self.items), UNKNOWN, np.int8) if self.verdicts is None else self.verdicts
        gains = None if self.gains is None else np.concatenate([self.gains, np.ones(len(items), np.float32)])
        return Histories(
            np.array([0, len(self.items) + len(items)], np.int64),
            np.concatenate([self.items, np.asarray(items, np.int32)]),
            np.concatenate([self.times, np.asarray(times, np.float64)]),
            verdicts=np.concatenate([before, np.asarray(verdicts, np.int8)]),
            negatives=self.negatives,
            gains=gains,
        )

    def not_liked(self, items: Sequence[int]) -> Histories:
        """The same events, of which those with these items say no longer that they were liked."""
        if not len(items):
            return self
        verdicts = np.full(len(self.items), UNKNOWN, np.int8) if self.verdicts is None else self.verdicts
        return replace(self, verdicts=np.where(np.isin(self.items, items), np.int8(NOTHING), verdicts))

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
