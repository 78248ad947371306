"""EASE with a recency-weighted history.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. The weights are B = I - P diag(P)^-1,
P = (X'X + λI)^-1; the decay of the history at recommendation time is ours to choose on validation.
Memory: 8 bytes x items squared while fitting. Ceiling: `max_items` most used items take part, the others get no weight.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.item_to_item import ItemToItem, binary_matrix, strongest
from nightreel.models.registry import register

Dense = npt.NDArray[np.float32]


def most_used(train: Histories, n_items: int, limit: int) -> npt.NDArray[np.int64]:
    """Ascending indices of the `limit` items with the most events (at least one); ties to the lower index."""
    counts = np.bincount(train.items, minlength=n_items)
    order = np.argsort(-counts, kind="stable")[:limit]
    return np.sort(order[counts[order] > 0])


def inverse(gram: Dense, regularisation: float) -> Dense:
    """(gram + λI)^-1 of a symmetric positive matrix by Cholesky, in place: a third of the general inverse's work."""
    from scipy.linalg import lapack  # 0.15 s that a reader need not wait for

    gram[np.diag_indices_from(gram)] += np.float32(regularisation)
    factor, info = lapack.spotrf(gram, lower=1, overwrite_a=1)
    if info != 0:
        raise FloatingPointError(f"the item matrix is not positive definite at λ = {regularisation}; raise it")
    solved, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    lower = np.tril(solved)
    return np.asarray(lower + np.tril(solved, -1).T, dtype=np.float32)


def spread(small: sp.csr_matrix, active: npt.NDArray[np.int64], n_items: int) -> sp.csr_matrix:
    """Weights between active items, written into the whole catalogue's [n_items, n_items]."""
    parts = small.tocoo()
    at = (parts.data, (active[parts.row], active[parts.col]))
    return sp.csr_matrix(at, shape=(n_items, n_items))


class EaseConfig(ModelConfig):
    """Hyper-parameters of EASE."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    regularization: Positive = 500.0
    """Ridge penalty λ."""
    decay: Positive = 10.0
    """Events after which an event of the history counts exp(-1) of the last one."""
    top_weights: Count = 512
    """Strongest weights that are kept for each item."""
    max_items: Count = 10_000
    """Most used items that take part; memory grows with the square."""


@register(
    "ease",
    "ease_long",
    config=EaseConfig,
    paper="Steck, WWW 2019",
    cost="8 bytes x items squared while fitting",
    ceiling="`max_items` most used items",
)
class Ease(ItemToItem):
    """EASE; hyper-parameters: regularisation λ, decay (events), keep (weights per item), max_items."""

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: EaseConfig, *, clock: bool) -> Self:
        """Closed form over the binary user-item matrix."""
        active = most_used(train, catalogue.n_items, config.max_items)
        x = binary_matrix(train, catalogue.n_items)[:, active]
        p = inverse((x.T @ x).toarray(), config.regularization)
        p /= -np.diag(p)[None, :]
        p[np.diag_indices_from(p)] = 0.0
        return cls.of(spread(strongest(p, config.top_weights), active, catalogue.n_items), config.decay)
