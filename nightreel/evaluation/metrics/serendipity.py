"""Serendipity: relevant items in a list that an unpersonalised list does not have."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import FloatArray, ItemArray
from nightreel.evaluation.metrics.ranking import Truth, hits


def serendipity(lists: ItemArray, expected: ItemArray, truth: Truth) -> FloatArray:
    """[n] share of the k positions with an item of the row's truth that is not in its expected list.

    expected: [n, j] lists of a simple baseline for the same rows; here popularity's, of the same length.
    Source: Ge et al. 2010 (doi:10.1145/1864708.1864761).
    """
    if not lists.size:
        return np.zeros(len(lists))
    surprising = ~(lists[:, :, None] == expected[:, None, :]).any(axis=2)
    return np.asarray((hits(lists, truth) & surprising).mean(axis=1), np.float64)
