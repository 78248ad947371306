"""Test splits of clean events: leave-last-out and global time. Every event has a part in every fold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TRAIN, VALID, TEST, UNUSED = 0, 1, 2, 3
PARTS = {"train": TRAIN, "valid": VALID, "test": TEST}
Fold = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Events:
    """Clean events as arrays [n], sorted by user, time and source order; item is -1 for an event without an item.
    relevant: positive events with a gain that a list is meant to bring; None: all positive ones."""

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    time: npt.NDArray[np.float64]
    positive: Mask
    seen: Mask
    relevant: Mask | None = None

    def __len__(self) -> int:
        return len(self.user)

    @property
    def wanted(self) -> Mask:
        """[n] what validation and test may expect of a list."""
        return self.positive if self.relevant is None else self.relevant


def first_meetings(events: Events) -> Mask:
    """[n] true for a relevant event if the user neither saw nor liked its item in an earlier one.

    Lists leave out seen items, so they can't contain repeats: such a test case could not be solved.
    """
    first = np.zeros(len(events), bool)
    known = np.flatnonzero((events.positive | events.seen) & (events.item >= 0))
    key = events.user[known].astype(np.int64) * (int(events.item.max(initial=0)) + 1) + events.item[known]
    first[known[np.unique(key, return_index=True)[1]]] = True
    return first & events.wanted


def candidates(events: Events, exclude_seen: bool) -> Mask:
    """[n] relevant events that may be used for validation or test."""
    return first_meetings(events) if exclude_seen else events.wanted & (events.item >= 0)


def leave_last_out(events: Events, exclude_seen: bool) -> Fold:
    """[n] int8. Per user: the last candidate is test, the one before it validation, events before that train, events
    between or after them unused. Users with fewer than three distinct candidates are train only."""
    may = np.flatnonzero(candidates(events, exclude_seen))
    owner = events.user[may]
    n_users = int(events.user.max(initial=-1)) + 1
    enough = _distinct(owner, events.item[may], n_users) >= 3
    ends = np.cumsum(np.bincount(owner, minlength=n_users))
    test, valid = np.full(n_users, len(events)), np.full(n_users, len(events))
    if enough.any():
        test[enough], valid[enough] = may[ends[enough] - 1], may[ends[enough] - 2]
    row = np.arange(len(events))
    fold = np.where(row < valid[events.user], TRAIN, UNUSED).astype(np.int8)
    fold[valid[enough]] = VALID
    fold[test[enough]] = TEST
    return fold


def _distinct(owner: npt.NDArray[np.int32], item: npt.NDArray[np.int32], n_users: int) -> npt.NDArray[np.int64]:
    pairs = np.unique(owner.astype(np.int64) << 32 | item)
    return np.bincount(pairs >> 32, minlength=n_users)


def cut_moments(events: Events, share: float, cuts: int) -> list[tuple[float, float, float]]:
    """(t_valid, t_test, t_end) of each rolling cut, the latest first. A test window has `share` of the positives,
    the validation window before it as many; the latest one is open-ended (t_end is just after the last event)."""
    moments = np.sort(events.time[events.positive])
    after = float(np.nextafter(events.time.max(), np.inf))
    edges = [_edge(moments, 1 - n * share, after) for n in range(cuts + 2)]
    return [(edges[n + 2], edges[n + 1], edges[n]) for n in range(cuts)]


def moments_after(events: Events, until: float) -> tuple[float, float, float]:
    """(t_valid, t_test, t_end) of the cut right after a moment: the test window is all that came later, and the
    validation window before it has as many positives."""
    moments = np.sort(events.time[events.positive])
    later, after = int((moments > until).sum()), float(np.nextafter(events.time.max(), np.inf))
    first = max(len(moments) - 2 * later, 0)
    return float(moments[first]) if len(moments) else after, float(np.nextafter(until, np.inf)), after


def _edge(moments: npt.NDArray[np.float64], quantile: float, after: float) -> float:
    at = round(quantile * len(moments))
    return after if at >= len(moments) else float(moments[max(at, 0)])


def global_time(events: Events, moments: tuple[float, float, float]) -> Fold:
    """[n] int8: train before t_valid, validation before t_test, test before t_end, the rest unused."""
    return np.searchsorted(np.array(moments), events.time, side="right").astype(np.int8)


def test_users(events: Events, fold: Fold, exclude_seen: bool) -> npt.NDArray[np.int64]:
    """Users with a test candidate and at least one positive training event."""
    tested = np.unique(events.user[candidates(events, exclude_seen) & (fold == TEST)])
    known = np.unique(events.user[events.positive & (fold < TEST)])
    return np.intersect1d(tested, known).astype(np.int64)


def digest(events: Events, folds: Mapping[str, Fold], item_ids: Iterable[str], user_ids: Iterable[str]) -> str:
    """sha256 over all that makes two evaluations comparable: ids, events, and the part of each event."""
    hashed = hashlib.sha256()
    for ids in (item_ids, user_ids):
        hashed.update("\x00".join(ids).encode() + b"\x01")
    for array in (events.user, events.item, events.time, events.positive, events.seen, events.wanted):
        hashed.update(array.tobytes())
    for name in sorted(folds):
        hashed.update(name.encode() + folds[name].tobytes())
    return hashed.hexdigest()
