"""Item-kNN: cosine similarity, with shrinkage, between the items' users.

Source: Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001; shrinkage as in
Bell & Koren 2007. Memory: the sparse co-occurrence matrix of items. Ceiling: about 100,000 items of moderate density.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.config import Count, ModelConfig, NotNegative, Positive
from nightreel.models.item_to_item import LearnedItemToItem, user_item_matrix
from nightreel.models.registry import register


def nearest(similarity: sp.csr_matrix, keep: int) -> sp.csr_matrix:
    """The `keep` largest entries of every row; ties to the lower column."""
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


class ItemKnnConfig(ModelConfig):
    """Hyper-parameters of item-kNN."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    neighbors: Count = 100
    """Number of most similar items kept for each item; more covers rarer pairs, and takes more memory."""
    shrink: NotNegative = 20.0
    """Shrinkage added to the norm, in events; higher discounts pairs with few common users."""
    decay: Positive = 10.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "item_knn",
    config=ItemKnnConfig,
    paper="Sarwar et al., WWW 2001; Bell & Koren 2007",
    cost="the sparse co-occurrence matrix of items",
    ceiling="about 100,000 items of moderate density",
)
class ItemKnn(LearnedItemToItem):
    """Similarities between items with common users."""

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: ItemKnnConfig, *, clock: bool) -> Self:
        """Compute n_ij / (sqrt(n_i n_j) + shrink), where n counts users of one item or of both."""
        x = user_item_matrix(train, catalogue.n_items)
        together = (x.T @ x).tocsr()
        together.sort_indices()
        audience = together.diagonal()
        rows = np.repeat(np.arange(catalogue.n_items), np.diff(together.indptr))
        norm = np.sqrt(audience[rows] * audience[together.indices]) + config.shrink
        together.data = np.where(rows == together.indices, 0.0, together.data / norm).astype(np.float32)
        return cls.of(nearest(together, config.neighbors), config.decay)
