"""SLIST: linear item-to-next-item transitions in closed form.

Source: Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation", WWW 2021 (its SLIT part).
For every position of every history, the decayed items before it predict the decayed items from it on:
B = (S'S + λI)^-1 S'T. Similarity between items is EASE's part; the blend joins the two.
Memory: 12 bytes x items squared while fitting. Ceiling: `max_items`; time grows with events x window².
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue, Hyper
from nightreel.models.item_to_item import ItemToItem, strongest
from nightreel.models.linear.ease import most_used, spread


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


class Slist(ItemToItem):
    """Hyper-parameters: regularisation λ, window (items before), ahead (items from the position on), decay and
    ahead_decay (events), keep (weights per item), max_items."""

    asked_with: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, hyper: Hyper, *, clock: bool) -> Self:
        """Closed form over all positions of all histories."""
        from scipy.linalg import solve  # 0.15 s that a reader need not wait for

        active = most_used(train, catalogue.n_items, int(hyper["max_items"]))
        before = range(-1, -1 - int(hyper["window"]), -1)
        source = positions_matrix(train, before, hyper["decay"], catalogue.n_items)[:, active]
        target = positions_matrix(train, range(int(hyper["ahead"])), hyper["ahead_decay"], catalogue.n_items)[:, active]
        transposed = source.T.tocsr()
        gram, cross = (transposed @ source).toarray(), (transposed @ target).toarray()
        gram[np.diag_indices_from(gram)] += np.float32(hyper["regularisation"])
        weights = solve(gram, cross, assume_a="pos")
        small = strongest(np.asarray(weights, np.float32), int(hyper["keep"]))
        return cls.of(spread(small, active, catalogue.n_items), hyper["decay"])
