"""Sittings: everything that a user does with an item in one sitting counts once; a later return counts again.

A play, a like a minute later and a comment tell of one hearing. Counted as three, they would make a log in which nobody
plays anything twice look like repeat consumption, and a list would be rewarded for predicting the like of the episode
that was just heard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.splits import Events, Mask

CONSUMING = ("play", "watch", "rating")
"""Event types that consume an item. Only these can repeat: a like of an old song is not a second hearing."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sittings:
    """once: [n] one positive event per sitting: the user's first of the item, and returns; again: [n] returns."""

    once: Mask
    again: Mask

    @property
    def returning(self) -> float:
        """Share of the sittings that are returns."""
        return float(self.again.sum()) / max(int(self.once.sum()), 1)


def meetings_of(events: Events, kind: Ints, gap_s: float | None) -> Sittings:
    """Select one positive event per sitting.

    Args:
        events: All of them, [n]; only those that are positive or seen are used.
        kind: [n] index in CONSUMING of each event; -1: none of them.
        gap_s: Seconds without an event of the same user and item after which the next one begins another sitting; None
            if the source has no clock: then any other item in between begins one.

    Returns:
        At most one event per sitting. A return is a positive event of a type that the user and the item had in an
            earlier sitting; other positive events of later sittings are left out.
    """
    rows = np.flatnonzero((events.positive | events.seen) & (events.item >= 0))
    pair = events.user[rows].astype(np.int64) * (int(events.item.max(initial=0)) + 1) + events.item[rows]
    order = np.argsort(pair, kind="stable")  # rows stay in time order within a pair
    pair, met = pair[order], rows[order]
    apart = np.diff(events.time[met]) >= gap_s if gap_s is not None else np.diff(order) != 1
    other = np.diff(pair) != 0
    meeting = np.concatenate([[0], np.cumsum(other | apart)])[: len(met)]
    positive = events.positive[met]
    known = positive & _met_before(pair, meeting, kind[met])
    first = np.zeros(len(met), bool)
    first[np.flatnonzero(positive)[np.unique(pair[positive], return_index=True)[1]]] = True
    kept = np.flatnonzero(first | known)
    kept = kept[np.unique(meeting[kept], return_index=True)[1]]
    once, again = np.zeros(len(events), bool), np.zeros(len(events), bool)
    once[met[kept]] = True
    again[met[kept[~first[kept]]]] = True
    return Sittings(once, again)


def _met_before(pair: Ints, meeting: Ints, kind: Ints) -> Mask:
    """[n] events of a consuming type that their pair had in an earlier sitting; sorted by pair, then time."""
    key = pair * len(CONSUMING) + kind
    _, begins, group = np.unique(key, return_index=True, return_inverse=True)
    found: Mask = (kind >= 0) & (meeting > meeting[begins][group])
    return found
