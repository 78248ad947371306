"""Ranking metrics over [n, k] lists against ragged truth, vectorised: one pass computes every metric at every cut-off.

Definitions (binary gain) are those of ranx: precision, recall, f1, hit_rate, ndcg, mrr and map; a test compares them.
Cost: O(k · truth) time and an [n, k] array of bools: a fraction of a second for 50,000 users × 50 items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray

METRICS = ("ndcg", "recall", "hit_rate", "mrr", "map", "precision", "f1")


@dataclass(frozen=True)
class Truth:
    """The relevant items of each of n users.

    keys: [m] int64, row · n_items + item, ascending and distinct; counts: [n] distinct items per row;
    n_items: catalogue size.
    """

    keys: IntArray
    counts: IntArray
    n_items: int

    @classmethod
    def of(cls, histories: Histories, n_items: int) -> Truth:
        """Build from n rows; an item that repeats in a row counts once."""
        keys = np.unique(histories.rows * n_items + histories.items)
        counts = np.bincount(keys // n_items, minlength=len(histories)).astype(np.int64)
        return cls(keys, counts, n_items)

    def where(self, kept: npt.NDArray[np.bool_]) -> Truth:
        """The truth with some of the pairs only. kept: [m]."""
        keys = self.keys[kept]
        return Truth(keys, np.bincount(keys // self.n_items, minlength=len(self.counts)), self.n_items)

    def take(self, rows: IntArray) -> Truth:
        """The truth of some rows, each at most once, in the given order."""
        number = np.full(len(self.counts), -1, np.int64)
        number[rows] = np.arange(len(rows))
        row, item = np.divmod(self.keys, self.n_items)
        kept = number[row] >= 0
        return Truth(np.sort(number[row[kept]] * self.n_items + item[kept]), self.counts[rows], self.n_items)


def hits(lists: ItemArray, truth: Truth) -> npt.NDArray[np.bool_]:
    """[n, k] bool: where the list has an item of the row's truth; padding (-1) never hits."""
    if len(lists) != len(truth.counts):
        raise ValueError(f"{len(lists)} lists for {len(truth.counts)} rows of truth")
    found = np.zeros(lists.shape, dtype=bool)
    items, begins = truth.keys % truth.n_items, np.cumsum(truth.counts) - truth.counts
    for number in range(int(truth.counts.max(initial=0))):  # of a row's relevant items: most rows have few
        rows = np.flatnonzero(truth.counts > number)
        found[rows] |= lists[rows] == items[begins[rows] + number].astype(lists.dtype)[:, None]
    return found


def per_user(lists: ItemArray, truth: Truth, cutoffs: Sequence[int]) -> dict[str, FloatArray]:
    """Compute every ranking metric at every cut-off.

    Users without relevant items get 0 everywhere, so exclude them before. Repeated items are not handled; `repeats`
    counts them.

    Args:
        lists: [n, K] item indices, best first, padded with -1.
        truth: Of the same n rows.
        cutoffs: List lengths; one above K uses the whole list.

    Returns:
        `ndcg@10` and so on → [n] float64 in [0, 1].
    """
    n, length = lists.shape
    row, place = np.nonzero(hits(lists, truth))
    counts = np.bincount(row, minlength=n)
    number = np.arange(len(row)) - (np.cumsum(counts) - counts)[row] + 1  # of a hit in its row, from 1
    terms = {"hits": np.ones(len(row)), "dcg": 1 / np.log2(place + 2.0), "precision": number / (place + 1)}
    first = np.full(n, length)
    first[row[number == 1]] = place[number == 1]
    relevant = np.maximum(truth.counts, 1)
    values: dict[str, FloatArray] = {}
    for k in cutoffs:
        inside = place < k
        at = {name: np.bincount(row[inside], term[inside], n).astype(np.float64) for name, term in terms.items()}
        values |= {f"{name}@{k}": value for name, value in _at(at, first, relevant, k).items()}
    return {f"{name}@{k}": values[f"{name}@{k}"] for name in METRICS for k in cutoffs}


def repeats(lists: ItemArray) -> int:
    """Number of rows that recommend an item twice; must be 0."""
    ordered = np.sort(lists, axis=1)
    return int(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1).sum())


def _at(at: dict[str, FloatArray], first: IntArray, relevant: IntArray, k: int) -> dict[str, FloatArray]:
    ideal = np.cumsum(1 / np.log2(np.arange(k) + 2.0))
    precision, recall = at["hits"] / k, at["hits"] / relevant
    both = precision + recall
    return {
        "ndcg": at["dcg"] / ideal[np.minimum(relevant, k) - 1],
        "recall": recall,
        "hit_rate": (at["hits"] > 0).astype(np.float64),
        "mrr": np.where(first < k, 1.0 / (first + 1.0), 0.0) * (at["hits"] > 0),
        "map": at["precision"] / relevant,
        "precision": precision,
        "f1": 2 * precision * recall / np.where(both > 0, both, 1.0),
    }
