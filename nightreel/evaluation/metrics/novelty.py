"""Novelty: mean self-information of the recommended items, in bits."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray


def audience(histories: Histories, n_items: int) -> IntArray:
    """[n_items] number of distinct users with the item in their history."""
    pairs = np.unique(histories.rows * n_items + histories.items)
    return np.bincount(pairs % n_items, minlength=n_items).astype(np.int64)


def information(audience_: IntArray, n_users: int) -> FloatArray:
    """[n_items] float64: -log2 of the share of n_users who know the item; zero users count as half a user.

    Source: mean self-information, Zhou et al. 2010 (doi:10.1073/pnas.1000488107).
    """
    return -np.log2(np.maximum(audience_, 0.5) / max(n_users, 1))


def novelty(lists: ItemArray, bits: FloatArray) -> float:
    """Mean bits over all entries of the [n, k] lists, without padding; 0 if there are none."""
    named = lists[lists >= 0]
    return float(bits[named].mean()) if len(named) else 0.0
