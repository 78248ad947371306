"""How far new items reach in the test windows: items without an event in training, by their events in validation.

The candidate learns train and validation, so an item that came during validation has few events when its lists are
made, and one that came during the test has none. Only splits at one time for all users have such items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from nightreel.data.dataset import Dataset
from nightreel.data.histories import ItemArray
from nightreel.evaluation.segments.item_reach import item_reach
from nightreel.evaluation.segments.new_item_lines import item_lines
from nightreel.evaluation.segments.reach_curve import reach_curve
from nightreel.evaluation.test_set import TestSet


def window_rows(data: Dataset, test_sets: Sequence[TestSet], lists: ItemArray) -> pa.Table:
    """Rows of item_reach, folds in order of time.

    Args:
        data: The validated data.
        test_sets: Of the folds cut in time, the latest first.
        lists: [rows of all test sets, k] the served lists, in the same order.
    """
    ends = np.cumsum([len(test_set) for test_set in test_sets])
    found = [
        item_reach(
            test_set.fold,
            data.items["item_id"].combine_chunks(),
            own,
            test_set.truth,
            np.bincount(data.positives(test_set.fold, ("train", "valid")).items, minlength=data.n_items),
            np.bincount(data.positives(test_set.fold, ("train",)).items, minlength=data.n_items) == 0,
        )
        for test_set, own in zip(test_sets, np.split(lists, ends[:-1]), strict=True)
    ]
    return pa.concat_tables(found[::-1])


def window_reach(
    data: Dataset, test_sets: Sequence[TestSet], lists: ItemArray, replicates: int, seed: int
) -> dict[str, Any]:
    """What the report shows of new items: the curve by events, lines of items and their titles.

    Args:
        data: The validated data.
        test_sets: Of the folds cut in time, the latest first; may be empty.
        lists: [rows of all test sets, k] the served lists, in the same order.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        `curve`, `lines` and `titles`, as plain values; empty without test sets.
    """
    if not test_sets:
        return {}
    rows = window_rows(data, test_sets, lists)
    lines = item_lines(rows)
    items = data.items.select(["item_id", "title"]).to_pydict()
    titles = dict(zip(items["item_id"], items["title"], strict=True))
    return {
        "curve": [asdict(point) for point in reach_curve(rows, replicates, np.random.default_rng(seed))],
        "lines": [asdict(line) for line in lines],
        "titles": {line.item_id: titles[line.item_id] for line in lines},
    }
