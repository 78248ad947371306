"""Verdicts: what an event says about whether its user liked the item.

A positive event is one that models learn from: by default every rating is, because it tells what somebody chose to
watch. That they *liked* it is more: a rating must be high, and no later event may take it back.

A verdict is stored as a code: the type of event that says it, as a number from 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import EVENTS
from nightreel.settings.validate import Event

Codes = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]
HIGH, LOW = 4.0, 2.0
"""Ratings from HIGH on say that the user liked the item, those up to LOW that they did not, others neither."""
NOTHING, UNKNOWN = 0, -1
"""Codes of an event that says nothing, or was taken back later, and of one whose type is not known."""
DISLIKES: tuple[Event, ...] = ("dislike", "rating")
"""Negative events by which users say that they don't want an item; a skip or a broken-off watch may mean: not now."""


def code_of(event: str) -> int:
    """The code of a verdict: the number of the event's type in the contract, from 1."""
    return 1 + EVENTS.index(event)


def kind_of(code: int) -> Event | None:
    """The type of event that a code stands for; None where there is none."""
    return EVENTS[code - 1] if code > 0 else None


DISLIKED = tuple(code_of(event) for event in DISLIKES)


def favourable(event: str, value: float | None) -> bool:
    """Whether a positive event says that its user liked the item."""
    return event != "rating" or (value is not None and value >= HIGH)


def lasting(pairs: npt.NDArray[np.int64], said: npt.NDArray[np.bool_], against: npt.NDArray[np.bool_]) -> Mask:
    """Which verdicts were not taken back by a later event.

    Args:
        pairs: [n] a number for each event's pair of user and item; a pair's events are in the order of time.
        said: [n] events that say something.
        against: [n] events that say the opposite.

    Returns:
        [n] those of `said` that none of `against` of the same pair follows.

    Example:
        >>> like, skip = np.array([True, False, True]), np.array([False, True, False])
        >>> lasting(np.array([7, 7, 7]), like, skip).tolist()
        [False, False, True]
    """
    own, number = np.unique(pairs[said], return_inverse=True)
    last, at = np.full(len(own), -1), np.flatnonzero(against)
    place = np.searchsorted(own, pairs[at])
    known = place < len(own)
    known[known] = own[place[known]] == pairs[at[known]]
    np.maximum.at(last, place[known], at[known])
    kept, events = np.zeros(len(pairs), bool), np.flatnonzero(said)
    kept[events[last[number] < events]] = True
    return kept


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What the events of a labelled log say.

    Attributes:
        pairs: [n] a number for each event's pair of user and item.
        codes: [n] the code of each event's type.
        favourable: [n] positive events that say that the user liked the item.
        negative: [n] negative events with an item.
    """

    pairs: npt.NDArray[np.int64]
    codes: Codes
    favourable: Mask
    negative: Mask

    @classmethod
    def of(cls, events: pa.Table, n_items: int) -> Verdicts:
        """Of clean, labelled events, sorted by user and time."""
        user, item, value = (events[name].to_numpy() for name in ("user", "item", "value"))
        codes = 1 + pc.index_in(events["event"].cast(pa.string()), pa.array(EVENTS)).to_numpy()
        named, negative = item >= 0, events["negative"].to_numpy()
        high = (codes != code_of("rating")) | (value >= HIGH)
        favourable = events["positive"].to_numpy() & ~negative & high & named
        return cls(user.astype(np.int64) * n_items + item, codes.astype(np.int8), favourable, negative & named)

    def liked(self, within: Mask) -> Codes:
        """[n] how the user liked the item, by event, as far as the events of `within` tell."""
        liked = lasting(self.pairs, self.favourable & within, self.negative & within)
        return np.where(liked, self.codes, NOTHING).astype(np.int8)

    def turned_down(self, within: Mask) -> Codes:
        """[n] how the user turned the item down; a dislike that was taken back later says nothing."""
        negative = self.negative & within
        disliked = negative & np.isin(self.codes, DISLIKED)
        kept = ~disliked | lasting(self.pairs, disliked, self.favourable & within)
        return np.where(negative & kept, self.codes, NOTHING).astype(np.int8)
