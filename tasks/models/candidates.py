"""Candidates: the union of every member's best items for each history, with their scores and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tasks.data.histories import IntArray
from tasks.models.protocol import Scores

HIDDEN = np.float32(-np.inf)
GROUP = 32  # items of which the best one stands for all, in a first bound
FUSION_OFFSET = 20.0
NO_SHORTLIST = 5000  # what versions from before there was one mean: every candidate is ranked


class Scored(Protocol):
    """What a member says of n rows. floor: [n] its lowest score of a row; what scores no higher is no evidence, since a
    member that knows nothing of a history scores all items alike."""

    @property
    def floor(self) -> npt.NDArray[np.float32]:
        """[n]."""

    def __len__(self) -> int:
        """Rows."""

    def top(self, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """[n, k] best items and their scores; -inf where there are no more."""

    def at(self, rows: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[p] scores of items; rows ascending."""


@dataclass(frozen=True, eq=False)
class Dense:
    """Every item's score: [n, n_items], -inf for what may not be taken."""

    scores: Scores
    floor: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def top(self, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """[n, k]."""
        items = top_items(self.scores, k)
        return items, np.take_along_axis(self.scores, items, axis=1)

    def at(self, rows: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[p]."""
        return self.scores[rows, items]


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
        items = np.flatnonzero(scores[row] > edge[row])
        found = _best(_keys(scores[row, items][None], items.astype(np.uint64)), k)[0]
        picked[row, : len(found)] = found
        if len(found) < k:  # the rest scores just the bound
            picked[row, len(found) :] = np.flatnonzero(scores[row] == edge[row])[: k - len(found)]
    return picked


def _keys(scores: Scores, items: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """[n, m] numbers that ascend from the best score to the lowest, then by item."""
    return (_descending(scores).astype(np.uint64) << np.uint64(32)) | items


def _descending(scores: Scores) -> npt.NDArray[np.uint32]:
    """Numbers that ascend from the best score to the lowest."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0: both are one score
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFF_FFFF))


def ordered(rows: npt.NDArray[np.integer[Any]], scores: Scores) -> npt.NDArray[np.int64]:
    """[p] places by row, then from the best score, ties as they stand. rows: [p], not negative."""
    return np.argsort((rows.astype(np.uint64) << np.uint64(32)) | _descending(scores), kind="stable")


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


def gather(members: Sequence[Scored], n_items: int, cutoff: int, shortlist: int) -> Candidates:
    """Of each member's `cutoff` best items that are evidence, a row's `shortlist` best by reciprocal rank fusion."""
    n = len(members[0])
    cutoff = min(cutoff, n_items)
    taken, places = [], []
    best = np.zeros((n, len(members)), np.float32)
    line = np.broadcast_to(np.arange(cutoff, dtype=np.float32), (n, cutoff))
    for at, member in enumerate(members):
        top, values = member.top(cutoff)
        informed = (values > member.floor[:, None]) & np.isfinite(values)
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
    told = np.stack([member.at(rows, items) for member in members], axis=1)
    return Candidates(rows.astype(np.int32), items.astype(np.int32), told, ranks[kept], best)


def fused(ranks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[p] reciprocal rank fusion of [p, members] (Cormack et al., SIGIR 2009)."""
    return np.asarray((1.0 / (FUSION_OFFSET + ranks)).sum(axis=1), np.float32)


def terms_of_fusion(ranks: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """[p, members] the terms of `fused`: what each member's rank adds."""
    return np.asarray(1.0 / (FUSION_OFFSET + ranks.astype(np.float64)))


def shortlisted(rows: npt.NDArray[np.int64], ranks: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.int64]:
    """Ascending places of each row's `most` best by fusion; rows ascending."""
    order = ordered(rows, fused(ranks))
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return np.sort(order[place < most])


def row_products(
    left: npt.NDArray[np.float32],
    right: npt.NDArray[np.float32],
    rows: npt.NDArray[np.integer[Any]],
    items: npt.NDArray[np.integer[Any]],
) -> npt.NDArray[np.float32]:
    """[p] dot products of rows of left [n, d] with items of right [n_items, d]; rows ascending."""
    products = np.empty(len(rows), np.float32)
    ends = np.searchsorted(rows, np.arange(len(left) + 1))
    for row, (start, end) in enumerate(pairwise(ends.tolist())):
        products[start:end] = right[items[start:end]] @ left[row]
    return products
