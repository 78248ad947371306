"""Leave-one-out evidence: an item's score and place, measured again without single items of the history."""

from __future__ import annotations

import numpy as np

from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.data.histories import Histories, IntArray
from nightreel.models.engine import Engine
from nightreel.reader.results import Evidence
from nightreel.reader.slate import Question


def measured(
    engine: Engine, question: Question, item: int, history: IntArray, hidden: tuple[Mask, Mask], table: ItemTable
) -> tuple[float, int | None, tuple[Evidence, ...]]:
    """Measure leave-one-out evidence.

    Args:
        engine: The models.
        question: The request.
        item: Row of the explained item.
        history: Rows of history items to leave out, one at a time.
        hidden: [n_items] items that are not ranked, and items that may not be shown.
        table: The items.

    Returns:
        The item's score, its place in the list (None: it is not in it, at whatever depth), and the change of both
            without each history item, largest drop first. The time and the hidden items stay the same.
    """
    past = question.past
    rows = [past, *(past.where(past.items != each) for each in history.tolist())]
    lengths = [len(row.items) for row in rows]
    histories = Histories(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([row.items for row in rows]),
        np.concatenate([row.times for row in rows]),
    )
    moments, exclude = np.repeat(question.moments, len(rows)), question.exclude
    exclude = exclude.take(np.zeros(len(rows), np.int64)) if exclude is not None else None
    listed, values = engine.top_k(histories, moments, engine.n_items, exclude=exclude, hidden=hidden[0])
    standings = [_standing(listed[row], values[row], item, hidden[1]) for row in range(len(rows))]
    score, rank = standings[0]
    fallen = [
        Evidence(table.ids[i], table.titles[i], score - value, place)
        for i, (value, place) in zip(history.tolist(), standings[1:], strict=True)
    ]
    return score, rank, tuple(sorted(fallen, key=lambda each: -each.drop))


def _standing(
    listed: np.ndarray[tuple[int], np.dtype[np.int32]],
    values: np.ndarray[tuple[int], np.dtype[np.float32]],
    item: int,
    unshown: Mask,
) -> tuple[float, int | None]:
    """Score and place (from 1) of an item among those of a list that may be shown; if it is not in it, the lowest score
    and None."""
    place = np.flatnonzero(listed == item)
    if not len(place):
        known = values[listed >= 0]
        return float(known[-1]) if len(known) else 0.0, None
    ahead = listed[: place[0]]
    return float(values[place[0]]), 1 + int((~unshown[ahead]).sum())
