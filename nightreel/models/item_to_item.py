"""Scoring shared by EASE, item-kNN, TF-IDF kNN and SLIST: a decayed history times item-to-item weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.contract.gains import weights_of
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.int16_weights import packed, rounded, unpacked

DENSE = 3


def recency_weights(histories: Histories, decay: float) -> FloatArray:
    """[nnz] weights exp(-j / decay) of the j-th event from a row's end (0: the last one), times the weight of its gain;
    decay in events."""
    lengths = histories.lengths
    from_end = np.repeat(histories.indptr[1:], lengths) - 1 - np.arange(len(histories.items))
    recent: FloatArray = np.exp(-from_end / decay)
    by_gain = weights_of(histories.gains)
    return recent if by_gain is None else recent * by_gain


def weighted_matrix(histories: Histories, weights: FloatArray, n_items: int) -> sp.csr_matrix:
    """float32 [n, n_items]: summed weights [nnz] of the events of each item."""
    # Copied, because scipy sorts the indices in place, which would destroy the histories' order. Of one type, because
    # scipy would look at every number to find out which type they fit in.
    kind = np.int32 if max(len(histories.items), n_items) <= np.iinfo(np.int32).max else np.int64
    parts = (weights.astype(np.float32), histories.items.astype(kind), histories.indptr.astype(kind))
    return sp.csr_matrix(parts, shape=(len(histories), n_items))


def user_item_matrix(train: Histories, n_items: int) -> sp.csr_matrix:
    """float32 [users, n_items]: where a user has interacted with an item, the weight of the event with the largest
    gain, which is 1 without gains; indices are sorted within a row."""
    by_gain = weights_of(train.gains)
    taken = weighted_matrix(train, np.ones(len(train.items)), n_items)
    if by_gain is None:
        taken.sum_duplicates()
        taken.data[:] = 1.0
        return taken
    pairs, place = np.unique(train.rows * n_items + train.items, return_inverse=True)
    most = np.zeros(len(pairs), np.float32)
    np.maximum.at(most, place, by_gain.astype(np.float32))
    taken.sum_duplicates()
    taken.data[:] = most  # both are in the order of rows, then of items
    return taken


def strongest(weights: npt.NDArray[np.float32], keep: int) -> sp.csr_matrix:
    """The `keep` entries of largest magnitude in every row of a dense matrix, as a sparse one."""
    n = weights.shape[1]
    if keep >= n:
        return sp.csr_matrix(weights)
    columns = np.sort(np.argpartition(-np.abs(weights), keep - 1, axis=1)[:, :keep], axis=1)
    values = np.take_along_axis(weights, columns, axis=1)
    indptr = np.arange(0, weights.shape[0] * keep + 1, keep)
    return sp.csr_matrix((values.ravel(), columns.ravel().astype(np.int32), indptr), shape=weights.shape)


@dataclass(frozen=True, eq=False)
class ItemToItem:
    """scores = decayed history [n, items] times weights [items, items], which are rounded to 16 bits when fitted.

    Time for a row: events in the history times weights kept per item. Where many weights are kept, a dense matrix is
    used, which is faster and takes up to DENSE times the memory. Memory: 8 bytes a weight, or the dense matrix, from
    the first request on; in files 4 bytes a weight (see nightreel.models.int16_weights).

    Attributes:
        stored: Encoded weights.
        decay: Number of events after which an event's weight falls by a factor e.
    """

    stored: Arrays
    decay: float

    @classmethod
    def of(cls, weights: sp.csr_matrix, decay: float) -> Self:
        """Round and encode fitted weights [items, items]."""
        return cls(packed(rounded(weights)), decay)

    @cached_property
    def weights(self) -> sp.csr_matrix:
        """[items, items] the decoded weights."""
        return unpacked(self.stored)

    def between(self, taken: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[len(taken), len(items)] weights from items of a history to candidates."""
        weights = self._weights
        return weights[np.ix_(taken, items)] if isinstance(weights, np.ndarray) else weights[taken][:, items].toarray()

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] scores. Moments are not used: these models know only the order of events."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), self._n_items)
        product = profile @ self._weights
        return np.asarray(product if isinstance(product, np.ndarray) else product.toarray(), dtype=np.float32)

    @cached_property
    def _weights(self) -> sp.csr_matrix | npt.NDArray[np.float32]:
        dense = self._n_items**2 * 4 <= DENSE * len(self.stored["indices"]) * 8
        return unpacked(self.stored).toarray() if dense else self.weights

    @property
    def _n_items(self) -> int:
        return len(self.stored["indptr"]) - 1

    def with_scoring_params(self, config: Any) -> Self:
        """The same weights with another decay."""
        return replace(self, decay=float(config.decay))

    def arrays(self) -> Arrays:
        """The encoded weights and the decay."""
        return {**self.stored, "decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`, without copying."""
        stored = {name: array for name, array in arrays.items() if name != "decay"}
        return cls(stored, float(arrays["decay"][0]))


class LearnedItemToItem(ItemToItem):
    """Weights that were learned from events: an item without any has none."""

    def placed(self, catalogue: Catalogue, rows: IntArray) -> Self:
        """The same weights for another catalogue; see `Placeable`."""
        known = np.flatnonzero(rows >= 0)
        chosen = sp.csr_matrix((np.ones(len(known), np.float32), (known, rows[known])), (len(rows), self._n_items))
        moved = sp.csr_matrix(chosen @ self.weights @ chosen.T)
        moved.sort_indices()
        return type(self)(packed(moved), self.decay)
