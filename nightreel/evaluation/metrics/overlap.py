"""Overlap of two lists of the same user."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import FloatArray, ItemArray


def overlap(first: ItemArray, second: ItemArray) -> FloatArray:
    """[n] share of the first list's items that are also in the second; padding is ignored, empty lists give 1."""
    named = first >= 0
    shared = (first[:, :, None] == second[:, None, :]).any(axis=2) & named
    return np.asarray(
        np.where(named.any(axis=1), shared.sum(axis=1) / np.maximum(named.sum(axis=1), 1), 1.0), np.float64
    )
