"""Verdicts: what an event says about whether its user liked the item.

A positive event is one that models learn from: by default every rating is, because it tells what somebody chose to
watch. That they *liked* it is more: a rating must be high, and no later event may take it back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nightreel.data.contract.tables import EVENTS
from nightreel.settings.validate import Event

Codes = npt.NDArray[np.int8]
HIGH, LOW = 4.0, 2.0
"""Ratings from HIGH on say that the user liked the item, those up to LOW that they did not, others neither."""
NOT_LIKED, UNKNOWN = 0, -1
"""Codes of an event that does not say that the user liked the item, and of one whose type is not known."""


def code_of(event: str) -> int:
    """The code of an event by which a user liked an item."""
    return 1 + EVENTS.index(event)  # of the contract, or a ValueError


def kind_of(code: int) -> Event | None:
    """The type of event that a code stands for; None where it is not known, or where the user did not like the item."""
    return EVENTS[code - 1] if code > 0 else None


def favourable(event: str, value: float | None) -> bool:
    """Whether a positive event says that its user liked the item."""
    return event != "rating" or (value is not None and value >= HIGH)


def liked(
    pairs: npt.NDArray[np.int64], kinds: npt.NDArray[np.int64], value: npt.NDArray[np.float32], negative: npt.ArrayLike
) -> Codes:
    """How users liked items, by event.

    Args:
        pairs: [n] a number for each pair of user and item; a pair's events are in the order of time.
        kinds: [n] number of the event's type in EVENTS.
        value: [n] the event's value, NaN for none.
        negative: [n] negative events.

    Returns:
        [n] int8: `code_of` the event's type, or NOT_LIKED where the event or a later one of its pair says otherwise.

    Example:
        >>> play, rating, skip = (EVENTS.index(event) for event in ("play", "rating", "skip"))
        >>> value = np.array([np.nan, 5, np.nan, 3, np.nan], np.float32)
        >>> kinds, negative = np.array([play, rating, skip, rating, play]), np.array([0, 0, 1, 0, 0])
        >>> codes = liked(np.array([7, 8, 8, 9, 9]), kinds, value, negative)
        >>> [kind_of(code) for code in codes.tolist()]
        ['play', None, None, None, 'play']
    """
    against = np.asarray(negative, bool)
    worded = (kinds != EVENTS.index("rating")) | (value >= HIGH)
    at = np.flatnonzero(against)[::-1]
    rejected, newest = np.unique(pairs[at], return_index=True)
    last = np.full(len(pairs), -1)
    if len(rejected):
        place = np.minimum(np.searchsorted(rejected, pairs), len(rejected) - 1)
        last = np.where(rejected[place] == pairs, at[newest][place], -1)
    kept = worded & ~against & (last < np.arange(len(pairs)))
    return np.where(kept, 1 + kinds, NOT_LIKED).astype(np.int8)
