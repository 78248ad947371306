"""SLIST: linear transitions from recent to next items, in closed form.

Source: Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation", WWW 2021 (its SLIT part).
For every position of every history, the decayed items before it predict the decayed items from it on:
B = (S'S + λI)^-1 S'T. SLIST's similarity part is EASE, which is a model of its own here; the ranker combines the two.
Memory: 24 bytes x items squared while fitting. Ceiling: `max_items`; time grows with events x window².
"""

from __future__ import annotations

from typing import Self

import numpy as np
import scipy.sparse as sp

from nightreel.data.contract.gains import weights_of
from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.item_to_item import LearnedItemToItem, strongest
from nightreel.models.linear.ease import most_used, spread
from nightreel.models.registry import register


def positions_matrix(train: Histories, offsets: range, decay: float, n_items: int) -> sp.csr_matrix:
    """[events, n_items] where row e has the items at e + offset in the same history, weighted exp(-rank / decay) and by
    gain."""
    n, lengths, by_gain = len(train.items), train.lengths, weights_of(train.gains)
    row = np.arange(n)
    start, end = np.repeat(train.indptr[:-1], lengths), np.repeat(train.indptr[1:], lengths)
    rows, items, weights = [], [], []
    for rank, offset in enumerate(offsets):
        inside = row[(row + offset >= start) & (row + offset < end) & (row > start)]
        rows.append(inside)
        items.append(train.items[inside + offset])
        recent = np.full(len(inside), np.exp(-rank / decay), np.float32)
        weights.append(recent if by_gain is None else (recent * by_gain[inside + offset]).astype(np.float32))
    at = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(items)))
    return sp.csr_matrix(at, shape=(n, n_items))


class SlistConfig(ModelConfig):
    """Hyper-parameters of SLIST."""

    regularization: Positive = 500.0
    """Ridge penalty λ; higher overfits less."""
    window: Count = 40
    """Number of items before a position that predict; time grows with the square."""
    horizon: Count = 1
    """Number of items from a position on that are predicted; more learns what comes some steps later, too."""
    decay: Positive = 10.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""
    horizon_decay: Positive = 1.0
    """Events ahead after which the weight of a predicted item falls by a factor e."""
    top_weights: Count = 512
    """Number of largest weights kept for each item; fewer saves memory and time, at some loss."""
    max_items: Count = 10_000
    """Maximum number of items, the most used ones; memory grows with the square and time with the cube."""


@register(
    "slist",
    "slist_short",
    config=SlistConfig,
    paper="Choi et al., WWW 2021 (SLIT)",
    cost="24 bytes x items squared while fitting; time grows with events x window²",
    ceiling="the `max_items` most used items",
)
class Slist(LearnedItemToItem):
    """Weights from the items before a position to those from it on."""

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: SlistConfig, *, clock: bool) -> Self:
        """Solve the closed form on all positions of all histories."""
        from scipy.linalg import solve  # imported here, because it takes 0.15 s and scoring does not need it

        active = most_used(train, catalogue.n_items, config.max_items)
        before = range(-1, -1 - config.window, -1)
        source = positions_matrix(train, before, config.decay, catalogue.n_items)[:, active]
        target = positions_matrix(train, range(config.horizon), config.horizon_decay, catalogue.n_items)[:, active]
        transposed = source.T.tocsr()
        # In float64, as the inverse of EASE, for the same reason.
        gram, cross = ((transposed @ each).astype(np.float64).toarray(order="F") for each in (source, target))
        gram[np.diag_indices_from(gram)] += config.regularization
        weights = solve(gram, cross, assume_a="pos", overwrite_a=True, overwrite_b=True)
        small = strongest(np.asarray(weights, np.float32), config.top_weights)
        return cls.of(spread(small, active, catalogue.n_items), config.decay)
