"""Catalogue coverage of the lists of all users together."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import ItemArray


def coverage(lists: ItemArray, n_items: int) -> float:
    """Share of the n_items of the catalogue that are in at least one of the [n, k] lists; padding (-1) is ignored."""
    if n_items == 0:
        return 0.0
    return int(np.count_nonzero(np.bincount(lists[lists >= 0], minlength=n_items))) / n_items
