"""New items of the test windows: their events are those of validation, and each fold has its own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nightreel.data.contract.schema import CLEAN_EVENTS
from nightreel.data.dataset import Dataset
from nightreel.data.splits import TEST, TRAIN, UNUSED, VALID
from nightreel.evaluation.segments.window_reach import window_reach, window_rows
from nightreel.evaluation.test_set import build_test_set

EVENTS = [  # user, item, parts in the fold "early" and in "late"
    (0, 0, TRAIN, TRAIN), (0, 1, VALID, TRAIN), (0, 2, TEST, VALID), (0, 3, UNUSED, TEST),
    (1, 0, TRAIN, TRAIN), (1, 1, TEST, VALID), (1, 2, UNUSED, VALID), (1, 4, UNUSED, TEST),
]  # fmt: skip


def data() -> Dataset:
    """Two users and five items."""
    n = len(EVENTS)
    user, item, early, late = (np.array(column) for column in zip(*EVENTS, strict=True))
    events = pa.table(
        {
            "user": user, "item": item, "time": np.arange(n, dtype=float), "event": ["play"] * n, "value": np.full(n, np.nan),
            "positive": np.ones(n, bool), "negative": np.zeros(n, bool), "seen": np.ones(n, bool), "gain": np.ones(n, np.float32),
        }
    ).cast(CLEAN_EVENTS)  # fmt: skip
    names = [f"i{number}" for number in range(5)]
    folds = {"late": late.astype(np.int8), "early": early.astype(np.int8)}
    items = pa.table({"item_id": names, "title": [name.upper() for name in names]})
    return Dataset(
        items, ["ann", "bob"], events, folds, "time", True, "global_time", 9.0, {"global_time": [*folds]}, {}
    )


def test_an_item_is_new_in_a_fold_without_an_event_in_its_training() -> None:
    found = data()
    sets = [build_test_set(found, fold, 9.0) for fold in ("late", "early")]
    # In the late fold ann took i3 and bob i4; in the early one ann took i2 and bob i1. Reached: i4 and i1.
    lists = np.array([[4, 2], [4, 3], [1, 3], [1, -1]], np.int32)
    rows = window_rows(found, sets, lists).to_pylist()
    taken = [(row["step"], row["item_id"], row["new"], row["events"], row["reached"]) for row in rows if row["wanted"]]
    assert taken == [
        ("early", "i1", True, 1, 1), ("early", "i2", True, 0, 0), ("late", "i3", True, 0, 0), ("late", "i4", True, 0, 1),
    ]  # fmt: skip
    others = {(row["step"], row["item_id"]): (row["new"], row["events"]) for row in rows if not row["wanted"]}
    assert others["late", "i2"] == (True, 2), "it came in validation"
    plain = window_reach(found, sets, lists, 10, 0)
    assert [(point["events"], point["wanted"], point["reached"]) for point in plain["curve"]] == [
        (0, 3, 1), (1, 1, 1), (2, 0, 0)
    ]  # fmt: skip
    assert plain["titles"] == {f"i{number}": f"I{number}" for number in (1, 2, 3, 4)}
    assert window_reach(found, [], lists[:0], 10, 0) == {}
