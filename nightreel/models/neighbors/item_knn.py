"""Item-kNN: shrunk cosine similarity between the items' audiences.

Source: Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001; shrinkage as in
Bell & Koren 2007. Memory: the co-occurrence of items, sparse. Ceiling: about 100,000 items of moderate density.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue, Hyper
from nightreel.models.item_to_item import ItemToItem, binary_matrix


def nearest(similarity: sp.csr_matrix, keep: int) -> sp.csr_matrix:
    """The `keep` largest entries of every sparse row; ties to the lower column."""
    kept = []
    for row in range(similarity.shape[0]):
        span = slice(similarity.indptr[row], similarity.indptr[row + 1])
        values = similarity.data[span]
        best = np.sort(np.argsort(-values, kind="stable")[:keep])
        kept.append(best + similarity.indptr[row])
    lengths = np.array([len(k) for k in kept])
    at = np.concatenate(kept).astype(np.int64) if kept else np.empty(0, np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_matrix((similarity.data[at], similarity.indices[at], indptr), shape=similarity.shape)


class ItemKnn(ItemToItem):
    """Hyper-parameters: neighbours per item, shrink (events), decay (events)."""

    asked_with: ClassVar[frozenset[str]] = frozenset({"decay"})

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, hyper: Hyper, *, clock: bool) -> Self:
        """cos(i, j) = n_ij / (sqrt(n_i n_j) + shrink) over users, a user counted once an item."""
        x = binary_matrix(train, catalogue.n_items)
        together = (x.T @ x).tocsr()
        together.sort_indices()
        audience = together.diagonal()
        rows = np.repeat(np.arange(catalogue.n_items), np.diff(together.indptr))
        norm = np.sqrt(audience[rows] * audience[together.indices]) + hyper["shrink"]
        together.data = np.where(rows == together.indices, 0.0, together.data / norm).astype(np.float32)
        return cls.of(nearest(together, int(hyper["neighbours"])), hyper["decay"])
