"""Popularity bias: how much more popular the lists are than their users' histories."""

from __future__ import annotations

import numpy as np

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray


def of_lists(lists: ItemArray, popularity: FloatArray) -> FloatArray:
    """[n] mean popularity of the list's items; NaN for an empty list. popularity: [n_items]."""
    named = lists >= 0
    totals = np.where(named, popularity[np.where(named, lists, 0)], 0.0).sum(axis=1)
    return _mean(totals, named.sum(axis=1).astype(np.int64))


def of_histories(histories: Histories, popularity: FloatArray) -> FloatArray:
    """[n] mean popularity of the history's items; NaN for an empty one."""
    totals = np.bincount(histories.rows, popularity[histories.items], len(histories))
    return _mean(totals.astype(np.float64), histories.lengths)


def lift(lists: FloatArray, histories: FloatArray) -> float:
    """Relative excess of the mean popularity of lists over that of histories: 0 is unbiased, 1 is twice as popular.

    Rows where either is NaN are excluded; NaN if none is left. Source: delta GAP, Abdollahpouri et al. 2019
    (arXiv:1907.13286).
    """
    known = ~np.isnan(lists) & ~np.isnan(histories)
    before = float(histories[known].mean()) if known.any() else 0.0
    return (float(lists[known].mean()) - before) / before if before > 0 else float("nan")


def _mean(totals: FloatArray, counts: IntArray) -> FloatArray:
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
