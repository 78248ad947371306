"""Intra-list diversity: mean distance of the items in a list, from 0 (equal) to 1 (nothing in common)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, ItemArray

Pairwise = Callable[[ItemArray], FloatArray]
"""[b, k] lists → [b, k, k] distances in [0, 1]."""

_BLOCK = 2**22  # entries of a [block, k, k] array: 32 MB of float64


def genre_distance(genres: Sequence[Sequence[str] | None]) -> Pairwise:
    """1 - Jaccard similarity of two items' genre sets; two items without genres have distance 0."""
    names = sorted({genre for row in genres for genre in row or ()})
    number = {name: column for column, name in enumerate(names)}
    member = np.zeros((len(genres), max(len(names), 1)), np.float32)
    for row, own in enumerate(genres):
        for genre in own or ():
            member[row, number[genre]] = 1

    def distance(lists: ItemArray) -> FloatArray:
        rows = member[lists]
        shared = rows @ rows.transpose(0, 2, 1)
        size = rows.sum(axis=2)
        union = size[:, :, None] + size[:, None, :] - shared
        alike = np.where(union > 0, shared / np.maximum(union, 1), 1.0)
        return np.asarray(1.0 - alike, np.float64)

    return distance


def vector_distance(vectors: npt.NDArray[np.float32]) -> Pairwise:
    """(1 - cosine) / 2 of two items' unit vectors [n_items, d]."""

    def distance(lists: ItemArray) -> FloatArray:
        rows = vectors[lists]
        return np.asarray((1.0 - np.clip(rows @ rows.transpose(0, 2, 1), -1, 1)) / 2, np.float64)

    return distance


def diversity(lists: ItemArray, distance: Pairwise) -> float:
    """Mean over users of the mean distance of the list's pairs; lists of fewer than two items are excluded.

    Returns 0 if no list has two items. Source: Ziegler et al. 2005 (doi:10.1145/1060745.1060754).
    """
    n, k = lists.shape
    step = max(_BLOCK // max(k * k, 1), 1)
    values = [_block(lists[at : at + step], distance) for at in range(0, n, step)]
    every = np.concatenate(values) if values else np.empty(0)
    return float(every.mean()) if len(every) else 0.0


def _block(lists: ItemArray, distance: Pairwise) -> FloatArray:
    """[≤ b] each list's mean pairwise distance."""
    valid = lists >= 0
    upper = np.triu(np.ones((lists.shape[1], lists.shape[1]), bool), 1)
    pairs = valid[:, :, None] & valid[:, None, :] & upper
    count = pairs.sum(axis=(1, 2))
    total = (distance(np.where(valid, lists, 0)) * pairs).sum(axis=(1, 2))
    kept = count > 0
    return np.asarray(total[kept] / count[kept], np.float64)
