"""Reach of items: how often those who took an item had it among the first places of their lists, counted by item.

The counts are what nightreel.evaluation.segments.reach_curve compares new items with old ones by.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightreel.data.histories import IntArray, ItemArray
from nightreel.evaluation.metrics.ranking import Truth, hits

FIRST = 20
"""Places of a list that count as reached."""
TOOK = (1, 2, 6, 21)
"""Users are told apart by how many items they took: from 1, from 2, from 6, from 21. Whoever took 300 can't have them
all among the first places."""
ROWS = pa.schema(
    [
        ("step", pa.string()),
        ("item_id", pa.string()),
        ("new", pa.bool_()),
        *((name, pa.int64()) for name in ("events", "takers", "took", "wanted", "reached", "shown")),
    ]
)
"""One row for each step, item and class of users. new: whether the item is compared as a new one; events: positive
events that the lists could know of; takers: users who took it in the step; took: of TOOK; wanted, reached: those of
them in this class, and whose list had it among the first places; shown: lists of the class that had it there, whoever
took it."""


def item_reach(
    step: str,
    item_ids: pa.Array,
    lists: ItemArray,
    truth: Truth,
    events: IntArray,
    new: npt.NDArray[np.bool_],
) -> pa.Table:
    """Count a step.

    Args:
        step: Its name: a night or a fold.
        item_ids: [items].
        lists: [n, k] items, best first, padded with -1; the first FIRST of them count.
        truth: What each of the n users took.
        events: [items] positive events that the lists could know of.
        new: [items] whether an item is compared as a new one.

    Returns:
        Rows of ROWS, by item and class of users; none for an item that nobody took and no list had.

    Example:
        >>> truth = Truth(np.array([0, 1, 2]), np.array([2, 1]), 2)  # user 0 took both items, user 1 the first
        >>> lists, none = np.array([[1, -1], [0, 1]], np.int32), np.zeros(2, bool)
        >>> found = item_reach("a", pa.array(["x", "y"]), lists, truth, np.array([7, 0]), np.array([False, True]))
        >>> list(zip(*found.select(["item_id", "took", "wanted", "reached", "shown"]).to_pydict().values()))
        [('x', 1, 1, 1, 1), ('x', 2, 1, 0, 0), ('y', 1, 0, 0, 1), ('y', 2, 1, 1, 1)]
    """
    lists, classes = lists[:, :FIRST], len(TOOK)
    took = np.searchsorted(TOOK, truth.counts, side="right") - 1
    user, item = np.divmod(truth.keys, truth.n_items)

    def by_item_and_class(users: IntArray, items: npt.NDArray[np.integer]) -> IntArray:
        return np.bincount(items.astype(np.int64) * classes + took[users], minlength=truth.n_items * classes)

    places, taken = np.nonzero(lists >= 0), np.nonzero(hits(lists, truth))
    wanted, shown = by_item_and_class(user, item), by_item_and_class(places[0], lists[places])
    reached = by_item_and_class(taken[0], lists[taken])
    at = np.flatnonzero(wanted + shown)
    items = at // classes
    columns = {
        "step": [step] * len(at),
        "item_id": item_ids.take(pa.array(items)),
        "new": new[items],
        "events": events[items],
        "takers": np.bincount(item, minlength=truth.n_items)[items],
        "took": np.array(TOOK)[at % classes],
        "wanted": wanted[at],
        "reached": reached[at],
        "shown": shown[at],
    }
    return pa.table(columns).cast(ROWS)
