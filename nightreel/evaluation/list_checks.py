"""Hard checks: faults that no list may have, however accurate it is. A single one rejects the candidate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, ItemArray
from nightreel.evaluation.test_set import TestSet

K = 10
CHECKS = (
    "scores that are not finite",
    "seen items",
    "blocked or expired items",
    "repeated items",
    "lists shorter than the catalogue allows",
)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Hidden:
    """Items that may not be shown at the time of the run. items: [n_items], true for hidden ones."""

    items: Mask

    @classmethod
    def of(cls, item_ids: Collection[str], hidden: Collection[str]) -> Hidden:
        """From the ids in today.json; ids that the catalogue does not have are ignored."""
        gone = frozenset(hidden)
        return cls(np.array([item in gone for item in item_ids], bool))


def faults(trial: TestSet, lists: ItemArray, sound: Mask, hidden: Hidden) -> dict[str, int]:
    """Check → number of lists that fail it. lists: [n, k ≥ 10]; sound: [n] whether all scores are finite."""
    named = lists >= 0
    banned = named & hidden.items[lists]
    seen = np.zeros_like(named)
    if trial.exclude is not None:
        n_items = trial.truth.n_items
        keys = np.arange(len(lists), dtype=np.int64)[:, None] * n_items + lists
        seen = named & np.isin(keys, trial.exclude.rows * n_items + trial.exclude.items)
    ordered = np.sort(lists, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    short = named[:, :K].sum(axis=1) < np.minimum(K, _available(trial, hidden))
    found = (~sound, seen.any(axis=1), banned.any(axis=1), twice.any(axis=1), short)
    return {check: int(rows.sum()) for check, rows in zip(CHECKS, found, strict=True)}


def _available(trial: TestSet, hidden: Hidden) -> FloatArray:
    """[n] lower bound of the number of items that each row could be shown."""
    seen = 0 if trial.exclude is None else trial.exclude.lengths
    return np.full(len(trial), float((~hidden.items).sum())) - seen
