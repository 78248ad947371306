"""SLIST: linear item-to-next-item transitions in closed form.

Source: Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation", WWW 2021 (its SLIT part).
For every position of every history, the decayed items before it predict the decayed items from it on:
B = (S'S + λI)^-1 S'T. Similarity between items is EASE's part; the blend joins the two.
Memory: 12 bytes x items squared while fitting. Ceiling: `max_items`; time grows with events x window².
"""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.item_to_item import ItemToItem, strongest
from nightreel.models.linear.ease import most_used, spread
from nightreel.models.registry import register


def positions_matrix(train: Histories, offsets: range, decay: float, n_items: int) -> sp.csr_matrix:
    """[events, n_items]: row e holds the items at e + offset within e's history, weighted exp(-rank / decay)."""
    n, lengths = len(train.items), train.lengths
    row = np.arange(n)
    start, end = np.repeat(train.indptr[:-1], lengths), np.repeat(train.indptr[1:], lengths)
    rows, items, weights = [], [], []
    for rank, offset in enumerate(offsets):
        inside = row[(row + offset >= start) & (row + offset < end) & (row > start)]
        rows.append(inside)
        items.append(train.items[inside + offset])
        weights.append(np.full(len(inside), np.exp(-rank / decay), np.float32))
    at = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(items)))
    return sp.csr_matrix(at, shape=(n, n_items))


class SlistConfig(ModelConfig):
    """Hyper-parameters of SLIST."""

    regularization: Positive = 500.0
    """Ridge penalty λ."""
    window: Count = 40
    """Items before a position that predict."""
    horizon: Count = 1
    """Items from a position on that are predicted."""
    decay: Positive = 10.0
    """Events after which an event of the history counts exp(-1) of the last one."""
    horizon_decay: Positive = 1.0
    """Events ahead after which a predicted one counts exp(-1)."""
    top_weights: Count = 512
    """Strongest weights that are kept for each item."""
    max_items: Count = 10_000
    """Most used items that take part; memory grows with the square."""


@register(
    "slist",
    "slist_short",
    config=SlistConfig,
    paper="Choi et al., WWW 2021 (SLIT)",
    cost="12 bytes x items squared while fitting; time grows with events x window²",
    ceiling="`max_items` most used items",
)
class Slist(ItemToItem):
    """Weights from items before a position to those from it on."""

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: SlistConfig, *, clock: bool) -> Self:
        """Closed form over all positions of all histories."""
        from scipy.linalg import solve  # 0.15 s that a reader need not wait for

        active = most_used(train, catalogue.n_items, config.max_items)
        before = range(-1, -1 - config.window, -1)
        source = positions_matrix(train, before, config.decay, catalogue.n_items)[:, active]
        target = positions_matrix(train, range(config.horizon), config.horizon_decay, catalogue.n_items)[:, active]
        transposed = source.T.tocsr()
        gram, cross = (transposed @ source).toarray(), (transposed @ target).toarray()
        gram[np.diag_indices_from(gram)] += np.float32(config.regularization)
        weights = solve(gram, cross, assume_a="pos")
        small = strongest(np.asarray(weights, np.float32), config.top_weights)
        return cls.of(spread(small, active, catalogue.n_items), config.decay)
