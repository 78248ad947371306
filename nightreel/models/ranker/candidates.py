"""Candidates: the union of all models' best items for each history, with their scores and ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import Histories, IntArray
from nightreel.models.base import Scored, Scores
from nightreel.models.top_k import ordered, top_items

Fitting = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]], npt.NDArray[np.float64]]
"""Rows [p], items [p] and ranks [p, models] → how well each fits as a new item, [p]."""
HIDDEN = np.float32(-np.inf)
FUSION_OFFSET = 20.0
SPARE = 8  # items beyond k whose product is taken by itself, since rounding may have put them on the wrong side of k
NOISE = np.float32(1e-5)  # of the largest product: what lies so close to the lowest one is rounding, not evidence
NO_SHORTLIST = 5000  # for versions without this setting, which rank all candidates


@dataclass(frozen=True, eq=False)
class Dense:
    """Scores of all items: [n, n_items], -inf for items that are left out. See `Scored`."""

    scores: Scores
    floor: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def top(self, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """[n, k] best items and their scores."""
        items = top_items(self.scores, k)
        return items, self.scores[np.arange(len(items))[:, None], items]

    def at(self, rows: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[p] scores of pairs of row and item."""
        return self.scores[rows, items]


@dataclass(frozen=True, eq=False)
class Products:
    """Scores that are products of factors: [n, d] queries, [n_items, d] keys.

    BLAS rounds by shape, so a row alone and in a batch differ in the last bit, which is enough to swap two items. A
    matrix product only proposes; what ranks is each product by itself.
    """

    queries: npt.NDArray[Any]
    keys: npt.NDArray[Any]
    proposed: Scores
    floor: npt.NDArray[np.float32]

    @classmethod
    def of(cls, queries: npt.NDArray[Any], keys: npt.NDArray[Any], unseen: Callable[[Scores], Scores]) -> Self:
        """unseen: sets what may not be taken to -inf."""
        scores = np.asarray(queries @ keys.T, np.float32)
        least = scores.min(axis=1)
        floor = least + NOISE * np.maximum(scores.max(axis=1), -least)
        return cls(queries, keys, unseen(scores), floor)

    def __len__(self) -> int:
        return len(self.queries)

    def top(self, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """[n, k]."""
        near = np.sort(top_items(self.proposed, k + SPARE), axis=1)
        shape = len(near), min(k, near.shape[1])
        items, values = np.empty(shape, np.int32), np.empty(shape, np.float32)
        for row, own in enumerate(near):
            found = self._dots(row, own)
            found[np.isneginf(self.proposed[row].take(own))] = HIDDEN
            order = np.argsort(-found, kind="stable")[:k]
            items[row], values[row] = own.take(order), found.take(order)
        return items, values

    def at(self, rows: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[p]."""
        ends = np.searchsorted(rows, np.arange(len(self) + 1)).tolist()
        return np.concatenate([self._dots(row, items[start:end]) for row, (start, end) in enumerate(pairwise(ends))])

    def _dots(self, row: int, items: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
        """[p] products of one row with items, each summed by itself."""
        return np.asarray(np.einsum("d,pd->p", self.queries[row], self.keys.take(items, axis=0)), np.float32)


@dataclass(frozen=True)
class Candidates:
    """p pairs of row and item, sorted by row, then by item.

    Attributes:
        rows: int32 [p].
        items: int32 [p].
        scores: float32 [p, models].
        ranks: float32 [p, models], 0 is best; the cut-off where a model did not retrieve the item.
        best: float32 [n, models], each model's best score in a row.
        fits: float64 [p], how well it fits as a new item (see `nightreel.models.ranker.new_items`), inf for one that
            does not; None where lists keep no places for new items.
    """

    rows: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    ranks: npt.NDArray[np.float32]
    best: npt.NDArray[np.float32]
    fits: npt.NDArray[np.float64] | None = None


def gather(
    members: Sequence[Scored],
    n_items: int,
    cutoff: int,
    shortlist: int,
    fitting: Fitting | None = None,
    also: IntArray | None = None,
) -> Candidates:
    """Collect candidates: each model's best items, of which fitting new ones and the best by reciprocal rank fusion are
    kept.

    Args:
        members: Scores of every model for the same n rows. Items with a model's lowest score are not retrieved from it.
        n_items: Number of items in the catalogue.
        cutoff: Items retrieved from each model.
        shortlist: Candidates kept in a row.
        fitting: Gives `Candidates.fits`.
        also: Pairs, row x n_items + item, that are kept whatever their ranks.
    """
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
    for chosen in taken:
        marked[chosen] = True
    if also is not None:
        marked[also] = True
    pairs = np.flatnonzero(marked)
    position = np.empty(n * n_items, np.int32)  # faster than searching, and as large as one score matrix
    position[pairs] = np.arange(len(pairs))
    ranks = np.full((len(pairs), len(members)), cutoff, np.float32)
    for at, (chosen, place) in enumerate(zip(taken, places, strict=True)):
        ranks[position[chosen], at] = place
    row = pairs // n_items
    fits = fitting(row, pairs % n_items, ranks) if fitting else None
    kept = shortlisted(row, ranks, shortlist, fits)
    if also is not None:
        kept = np.union1d(kept, position[also])
    rows, items = row[kept], pairs[kept] % n_items
    scores = np.stack([member.at(rows, items) for member in members], axis=1)
    own = None if fits is None else fits[kept]
    return Candidates(rows.astype(np.int32), items.astype(np.int32), scores, ranks[kept], best, own)


def fused(ranks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[p] reciprocal rank fusion of ranks [p, models] (Cormack et al., SIGIR 2009)."""
    return np.asarray((1.0 / (FUSION_OFFSET + ranks)).sum(axis=1), np.float32)


def terms_of_fusion(ranks: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """[p, models] the terms of `fused`: the contribution of each model's rank."""
    return np.asarray(1.0 / (FUSION_OFFSET + ranks.astype(np.float64)))


def shortlisted(
    rows: npt.NDArray[np.int64], ranks: npt.NDArray[np.float32], most: int, fits: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.int64]:
    """Indices, ascending, of the `most` best pairs of each row: fitting new items, then by rank fusion. rows: [p]
    ascending; ranks: [p, models]; fits: [p]."""
    first = fused(ranks)
    if fits is not None:
        first[np.isfinite(fits)] += np.float32(ranks.shape[1])
    order = ordered(rows, first)
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return np.sort(order[place < most])


def row_products(
    left: npt.NDArray[np.float32],
    right: npt.NDArray[np.float32],
    rows: npt.NDArray[np.integer[Any]],
    items: npt.NDArray[np.integer[Any]],
) -> npt.NDArray[np.float32]:
    """[p] dot products of left [n, d] at `rows` (ascending) with right [n_items, d] at `items`."""
    products = np.empty(len(rows), np.float32)
    ends = np.searchsorted(rows, np.arange(len(left) + 1))
    for row, (start, end) in enumerate(pairwise(ends.tolist())):
        products[start:end] = right[items[start:end]] @ left[row]
    return products


def times_taken(histories: Histories, candidates: Candidates, n_items: int) -> npt.NDArray[np.float32]:
    """[p] number of events with the candidate in its row's history."""
    known, counts = np.unique(histories.rows.astype(np.int64) * n_items + histories.items, return_counts=True)
    wanted = candidates.rows.astype(np.int64) * n_items + candidates.items
    at = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    if not len(known):
        return np.zeros(len(wanted), np.float32)
    return np.where(known[at] == wanted, counts[at], 0).astype(np.float32)
