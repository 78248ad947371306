"""Exact top-k of many rows of scores. Ties go to the lower index, so that lists are deterministic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TopK:
    """Lists of n rows, best first: items int32 [n, k], -1 where there are no more; scores float32 [n, k]."""

    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


GROUP = 32  # items per group in `lower_bound`


def top_items(scores: Scores, k: int) -> npt.NDArray[np.int32]:
    """[n, k] items with the highest scores [n, n_items], best first, ties to the lower index.

    Score and index are combined into a 64-bit number, so that numpy's vectorised sort orders both at once.
    """
    n, n_items = scores.shape
    k = min(k, n_items)
    if n_items // GROUP < 2 * k:
        return _best(_keys(scores, np.arange(n_items, dtype=np.uint64)), k)
    edge = lower_bound(scores, k)
    picked = np.empty((n, k), np.int32)
    for row in range(n):
        items = np.flatnonzero(scores[row] > edge[row])
        found = _best(_keys(scores[row, items][None], items.astype(np.uint64)), k)[0]
        picked[row, : len(found)] = found
        if len(found) < k:  # the others have exactly the bound as score
            picked[row, len(found) :] = np.flatnonzero(scores[row] == edge[row])[: k - len(found)]
    return picked


def _keys(scores: Scores, items: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """[n, m] sort keys: from the best score to the lowest, then by item."""
    return (_descending(scores).astype(np.uint64) << np.uint64(32)) | items


def _descending(scores: Scores) -> npt.NDArray[np.uint32]:
    """Sort keys from the best score to the lowest."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0, so that both are equal
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFF_FFFF))


def ordered(rows: npt.NDArray[np.integer[Any]], scores: Scores) -> npt.NDArray[np.int64]:
    """[p] the order by row, then from the best score to the lowest; ties keep their order. rows: [p], not negative."""
    return np.argsort((rows.astype(np.uint64) << np.uint64(32)) | _descending(scores), kind="stable")


def _best(keys: npt.NDArray[np.uint64], k: int) -> npt.NDArray[np.int32]:
    """[n, k] items of the k lowest keys, ascending."""
    if k < keys.shape[1]:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    return (np.sort(keys, axis=1) & np.uint64(0xFFFF_FFFF)).astype(np.int32)


def lower_bound(scores: Scores, k: int) -> npt.NDArray[np.float32]:
    """[n] a value that at least k scores of a row reach: the k-th best of the maxima of disjoint groups of items.

    It takes a tenth of the time of the exact k-th best score, and few more than k items reach it. Needs k groups.
    """
    n, n_items = scores.shape
    groups = n_items // GROUP
    maxima = scores[:, : groups * GROUP].reshape(n, GROUP, groups).max(axis=1)
    return np.asarray(np.partition(maxima, groups - k, axis=1)[:, -k])
