"""Genre calibration: how far a list's distribution of genres is from that of the user's history.

Source: Steck 2018 (doi:10.1145/3240323.3240372): p(g|u) over the history, q(g|u) over the list, both the mean of the
items' p(g|i), which is uniform over an item's genres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, ItemArray

SMOOTHING = 0.01  # Steck's alpha: q is mixed with this share of p, so that the divergence stays finite
Shares = npt.NDArray[np.float64]


def genre_shares(genres: Sequence[Sequence[str] | None]) -> Shares:
    """[n_items, g] p(g|i): uniform over an item's genres; a zero row for an item without genres."""
    names = sorted({genre for row in genres for genre in row or ()})
    number = {name: column for column, name in enumerate(names)}
    shares = np.zeros((len(genres), len(names)))
    for row, own in enumerate(genres):
        for genre in set(own or ()):
            shares[row, number[genre]] = 1 / len(set(own or ()))
    return shares


def of_histories(histories: Histories, shares: Shares) -> Shares:
    """[n, g] p(g|u) of each row; a zero row if no item has a genre."""
    totals = [np.bincount(histories.rows, shares[histories.items, g], len(histories)) for g in range(shares.shape[1])]
    return _normalised(np.column_stack(totals) if totals else np.zeros((len(histories), 0)))


def of_lists(lists: ItemArray, shares: Shares) -> Shares:
    """[n, g] q(g|u) of each list; padding (-1) is ignored."""
    padded = np.vstack([shares, np.zeros((1, shares.shape[1]))])
    return _normalised(np.sum([padded[column] for column in lists.T], axis=0, initial=0.0) + np.zeros((len(lists), 1)))


def miscalibration(p: Shares, q: Shares) -> FloatArray:
    """[n] Kullback-Leibler divergence of the smoothed q from p, in nats: 0 is calibrated; NaN if p or q is empty."""
    mixed = (1 - SMOOTHING) * q + SMOOTHING * p
    return _known(p, q, _divergence(p, mixed))


def distance(p: Shares, q: Shares) -> FloatArray:
    """[n] Jensen-Shannon distance, in [0, 1] (base 2): symmetric and bounded; NaN if p or q is empty."""
    middle = (p + q) / 2
    both = (_divergence(p, middle) + _divergence(q, middle)) / (2 * np.log(2))
    return _known(p, q, np.sqrt(np.maximum(both, 0)))


def _divergence(p: Shares, q: Shares) -> FloatArray:
    used = p > 0
    return np.asarray((p * np.log(np.where(used, p, 1) / np.where(used & (q > 0), q, 1))).sum(axis=1), np.float64)


def _known(p: Shares, q: Shares, values: FloatArray) -> FloatArray:
    return np.where((p.sum(axis=1) > 0) & (q.sum(axis=1) > 0), values, np.nan)


def _normalised(totals: Shares) -> Shares:
    sums = totals.sum(axis=1, keepdims=True)
    return np.asarray(totals / np.where(sums > 0, sums, 1), np.float64)
