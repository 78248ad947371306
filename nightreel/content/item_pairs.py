"""Pairs of items with which a user interacted within a short time: training data of contrastive fine-tuning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import Histories

REACH = 3  # events apart: items of a long history that are further apart are hardly related


def close_pairs(histories: Histories) -> npt.NDArray[np.int64]:
    """[p, 2] item indices at most REACH events apart in the same history, the earlier one first."""
    rows, n = histories.rows, len(histories.items)
    found = []
    for step in range(1, min(REACH, n - 1) + 1):
        same = rows[:-step] == rows[step:]
        found.append(np.column_stack([histories.items[:-step][same], histories.items[step:][same]]))
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 2), np.int64)
