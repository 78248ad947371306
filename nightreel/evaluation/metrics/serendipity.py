"""Serendipity: what a list holds that is both wanted and not what everybody is shown anyway."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import FloatArray, ItemArray
from nightreel.evaluation.metrics.ranking import Truth, hits


def serendipity(lists: ItemArray, expected: ItemArray, truth: Truth) -> FloatArray:
    """[n] share of the k places that hold an item of the row's truth which its expected list does not.

    expected: [n, j] lists of a primitive model for the same rows; here popularity's, of the same length.
    Source: Ge et al. 2010 (doi:10.1145/1864708.1864761).
    """
    if not lists.size:
        return np.zeros(len(lists))
    surprising = ~(lists[:, :, None] == expected[:, None, :]).any(axis=2)
    return np.asarray((hits(lists, truth) & surprising).mean(axis=1), np.float64)
