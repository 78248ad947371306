"""TF-IDF kNN: cosine similarity of the items' words, with a recency-weighted history.

Source: Salton & Buckley, "Term-weighting Approaches in Automatic Text Retrieval", Information Processing & Management
1988 (damped counts, inverse document frequency, unit length); neighbours are kept as in item-kNN. It needs no
interactions, and distinguishes names and rare tags that dense vectors blur.
Memory: `neighbors` weights an item. Ceiling: MOST items, because all pairs that share a word are compared; of a larger
catalogue it knows no neighbours.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.item_to_item import ItemToItem, strongest
from nightreel.models.registry import register
from nightreel.stage import log_progress

CELLS = 20_000_000  # similarities computed at a time: 80 MB
MOST = 200_000  # items; at twice as many it would take four times as long


def weighted_words(counts: sp.csr_matrix) -> sp.csr_matrix:
    """[n, words] (1 + ln count) x ln(n / items of the word), rows of unit length; zero rows stay zero."""
    items = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = np.log(counts.shape[0] / np.maximum(items, 1))
    values = (1.0 + np.log(counts.data)) * rarity[counts.indices]
    matrix = sp.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scaled = matrix.multiply(1.0 / np.maximum(length, 1e-12)[:, None])
    return sp.csr_matrix(scaled, dtype=np.float32)


class TfidfKnnConfig(ModelConfig):
    """Hyper-parameters of TF-IDF kNN."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    neighbors: Count = 50
    """Number of most similar items kept for each item; more covers rarer pairs, and takes more memory."""
    decay: Positive = 5.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "tfidf_knn",
    config=TfidfKnnConfig,
    paper="Salton & Buckley, IP&M 1988",
    cost="`neighbors` weights an item",
    ceiling="200,000 items; of more it knows no neighbours",
)
class TfidfKnn(ItemToItem):
    """Similarities between items that share words."""

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: TfidfKnnConfig, *, clock: bool) -> Self:
        """Find the most similar items of every item. `train` is not used."""
        n = catalogue.n_items
        if n > MOST:
            log_progress(f"tfidf_knn: knows no neighbours, because the catalogue has more than {MOST:,} items")
            return cls.of(sp.csr_matrix((n, n), dtype=np.float32), config.decay)
        words, block = weighted_words(catalogue.words()), max(1, CELLS // max(n, 1))
        by_word = words.T.tocsr()
        blocks = []
        for start in range(0, n, block):
            near = (words[start : start + block] @ by_word).toarray()
            rows = np.arange(len(near))
            near[rows, start + rows] = 0.0
            kept = strongest(near, config.neighbors)
            kept.eliminate_zeros()
            blocks.append(kept)
        return cls.of(sp.vstack(blocks, format="csr"), config.decay)
