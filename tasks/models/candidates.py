"""Candidates: the union of every member's best items for each history, with their scores and ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.models.protocol import Scores

HIDDEN = np.float32(-np.inf)
GROUP = 32  # items of which the best one stands for all, in a first bound
FUSION_OFFSET = 20.0
NO_SHORTLIST = 5000  # what versions from before there was one mean: every candidate is ranked


@dataclass(frozen=True)
class Candidates:
    """Pairs of (row, item), rows ascending, items ascending in a row.

    rows, items: int32 [p]; scores, ranks: float32 [p, members] (rank 0 is best; the cut-off stands for all beyond it);
    best: float32 [n, members] each member's best score in a row.
    """

    rows: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    ranks: npt.NDArray[np.float32]
    best: npt.NDArray[np.float32]


def top_items(scores: Scores, k: int) -> npt.NDArray[np.int32]:
    """[n, k] items of the highest scores, best first, ties to the lower index (so that lists repeat exactly).

    Score and index are one 64-bit number, so that numpy's vector sort orders both at once.
    """
    n, n_items = scores.shape
    k = min(k, n_items)
    if n_items // GROUP < 2 * k:
        return _best(_keys(scores, np.arange(n_items, dtype=np.uint64)), k)
    edge = lower_bound(scores, k)
    picked = np.empty((n, k), np.int32)
    for row in range(n):
        items = np.flatnonzero(scores[row] >= edge[row])
        picked[row] = _best(_keys(scores[row, items][None], items.astype(np.uint64)), k)[0]
    return picked


def _keys(scores: Scores, items: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """[n, m] numbers that ascend from the best score to the lowest, then by item."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0: both are one score
    descending = np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFF_FFFF))
    return (descending.astype(np.uint64) << np.uint64(32)) | items


def _best(keys: npt.NDArray[np.uint64], k: int) -> npt.NDArray[np.int32]:
    """[n, k] items of the k lowest keys, in their order."""
    if k < keys.shape[1]:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    return (np.sort(keys, axis=1) & np.uint64(0xFFFF_FFFF)).astype(np.int32)


def lower_bound(scores: Scores, k: int) -> npt.NDArray[np.float32]:
    """[n] a value that at least k scores of the row reach: the k-th best of the maxima of disjoint groups of items.

    A tenth of the time of the exact k-th best, and few more items than k reach it. There must be k groups.
    """
    n, n_items = scores.shape
    groups = n_items // GROUP
    maxima = scores[:, : groups * GROUP].reshape(n, GROUP, groups).max(axis=1)
    return np.asarray(np.partition(maxima, groups - k, axis=1)[:, -k])


def gather(members: list[Scores], floors: list[npt.NDArray[np.float32]], cutoff: int, shortlist: int) -> Candidates:
    """Candidates of member score matrices [n, n_items]: of each member's `cutoff` best items, the `shortlist` best of
    a row by reciprocal rank fusion.

    floors: [n] each member's lowest score of a row. What scores no higher is no evidence, since a member that knows
    nothing of a history scores all items alike; nor is it taken where it is -inf.
    """
    n, n_items = members[0].shape
    cutoff = min(cutoff, n_items)
    taken, places = [], []
    best = np.zeros((n, len(members)), np.float32)
    line = np.broadcast_to(np.arange(cutoff, dtype=np.float32), (n, cutoff))
    for at, (scores, floor) in enumerate(zip(members, floors, strict=True)):
        top = top_items(scores, cutoff)
        values = np.take_along_axis(scores, top, axis=1)
        informed = (values > floor[:, None]) & np.isfinite(values)
        taken.append((np.arange(n)[:, None] * n_items + top)[informed])
        places.append(line[informed])
        best[:, at] = np.where(np.isfinite(values[:, 0]), values[:, 0], 0.0)
    marked = np.zeros(n * n_items, np.bool_)
    for own in taken:
        marked[own] = True
    pairs = np.flatnonzero(marked)
    position = np.empty(n * n_items, np.int32)  # faster than a search for every pair, and as large as one score matrix
    position[pairs] = np.arange(len(pairs))
    ranks = np.full((len(pairs), len(members)), cutoff, np.float32)
    for at, (own, place) in enumerate(zip(taken, places, strict=True)):
        ranks[position[own], at] = place
    kept = shortlisted(pairs // n_items, ranks, shortlist)
    rows, items = pairs[kept] // n_items, pairs[kept] % n_items
    told = np.stack([scores[rows, items] for scores in members], axis=1)
    return Candidates(rows.astype(np.int32), items.astype(np.int32), told, ranks[kept], best)


def fused(ranks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[p] reciprocal rank fusion of [p, members] (Cormack et al., SIGIR 2009)."""
    return np.asarray((1.0 / (FUSION_OFFSET + ranks)).sum(axis=1), np.float32)


def shortlisted(rows: npt.NDArray[np.int64], ranks: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.int64]:
    """Ascending places of each row's `most` best by fusion; rows ascending."""
    order = np.lexsort((-fused(ranks), rows))
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return np.sort(order[place < most])
