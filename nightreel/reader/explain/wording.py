"""How a reason says what the user did: rated is not watched, and shared is not liked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightreel.bundle.item_table import ItemTable
from nightreel.data.contract.verdicts import kind_of
from nightreel.data.histories import Histories
from nightreel.settings.validate import Event

TOLD_FIRST: tuple[Event, ...] = ("favorite", "like", "rating", "share", "comment", "follow", "watch", "play")
"""Of several events of an item, the one that says most about a taste is told."""
SAID: dict[Event, str] = {
    "favorite": "added {} to your favourites",
    "like": "liked {}",
    "rating": "rated {} highly",
    "share": "shared {}",
    "comment": "commented on {}",
    "follow": "follow {}",
}
HEARD, SEEN = ("audio", "music", "podcast"), ("video", "live")


def because(named: Sequence[int], past: Histories, table: ItemTable, media: Sequence[tuple[str, ...]]) -> str:
    """A sentence that names items of the history, by what the user did with each.

    Args:
        named: Rows of the items.
        past: The history.
        table: The items.
        media: [n_items] media type of each.
    """
    titles: dict[str, list[str]] = {}
    for item in named:
        titles.setdefault(_did(item, past, media[item]), []).append(table.titles[item] or table.ids[item])
    unknown = titles.pop("", [])
    parts = [phrase.format(" and ".join(own)) for phrase, own in titles.items()]
    if unknown:
        parts.append(f"have {' and '.join(unknown)} in your history")
    return "Because you " + " and ".join(parts)


def _did(item: int, past: Histories, media: Sequence[str]) -> str:
    """What the user did with an item, with {} for its title; empty where it is not known."""
    codes = [] if past.verdicts is None else np.unique(past.verdicts[past.items == item]).tolist()
    kinds = {kind for code in codes if (kind := kind_of(code)) is not None}
    told = next((kind for kind in TOLD_FIRST if kind in kinds), None)
    if told is None or told in SAID:
        return "" if told is None else SAID[told]
    if media and media[0] in HEARD:
        return "listened to {}"
    return "watched {}" if told == "watch" or (media and media[0] in SEEN) else "played {}"
