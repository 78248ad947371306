"""Concentration: how unevenly the lists spread over the catalogue, as a Gini coefficient."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import FloatArray, IntArray, ItemArray


def exposure(lists: ItemArray, n_items: int) -> IntArray:
    """[n_items] how often each item is in the [n, k] lists; padding (-1) is ignored."""
    return np.bincount(lists[lists >= 0], minlength=n_items).astype(np.int64)


def gini(amounts: IntArray | FloatArray) -> float:
    """Gini coefficient of n amounts: 0 if all are equal, (n - 1) / n if one has everything.

    Items that are never recommended count, too. Returns 0 if all amounts are 0. Source: half the relative mean absolute
    difference, Gini 1912.
    """
    n, total = len(amounts), float(amounts.sum())
    if not total:
        return 0.0
    ascending = np.sort(amounts).astype(np.float64)
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ ascending / (n * total))
