"""EASE, a linear autoencoder in closed form, with a recency-weighted history.

Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. The weights are B = I - P diag(P)^-1,
P = (X'X + λI)^-1. The recency weights of the history are an addition; their decay is selected on validation.
Memory: 16 bytes x items squared while fitting. Ceiling: the `max_items` most used items; the others get no weights.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.item_to_item import LearnedItemToItem, strongest, user_item_matrix
from nightreel.models.registry import register

Dense = npt.NDArray[np.float32]
BLOCK = 1024  # rows that are mirrored at once


def most_used(train: Histories, n_items: int, limit: int) -> npt.NDArray[np.int64]:
    """Indices, ascending, of the `limit` items with the most events (at least one); ties to the lower index."""
    counts = np.bincount(train.items, minlength=n_items)
    order = np.argsort(-counts, kind="stable")[:limit]
    return np.sort(order[counts[order] > 0])


def inverse(gram: npt.NDArray[np.floating[Any]], regularisation: float) -> Dense:
    """(gram + λI)^-1 by Cholesky decomposition, which takes a third of the work of a general inverse.

    In float64: the last bits of a float32 inverse depend on the number of threads and on the CPU, and rankers that
    learn from them give other lists.

    Raises:
        FloatingPointError: The matrix is not positive definite.
    """
    from scipy.linalg import lapack  # imported here, because it takes 0.15 s and scoring does not need it

    # Transposed, since LAPACK copies what is not in Fortran's order; the matrix is symmetric.
    whole = np.array(gram, np.float64, order="C").T
    whole[np.diag_indices_from(whole)] += regularisation
    factor, info = lapack.dpotrf(whole, lower=1, overwrite_a=1)
    if info != 0:
        raise FloatingPointError(
            f"the item matrix is not positive definite at regularization {regularisation}; raise it"
        )
    solved, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    return _mirrored(solved.astype(np.float32))


def _mirrored(lower: Dense) -> Dense:
    """A symmetric matrix from its lower half, in place, block by block."""
    n = len(lower)
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        lower[start:end, end:] = lower[end:, start:end].T
        corner = np.tril(lower[start:end, start:end])
        lower[start:end, start:end] = corner + np.tril(corner, -1).T
    return lower


def spread(small: sp.csr_matrix, active: npt.NDArray[np.int64], n_items: int) -> sp.csr_matrix:
    """[n_items, n_items] weights of the whole catalogue, from those between active items."""
    parts = small.tocoo()
    at = (parts.data, (active[parts.row], active[parts.col]))
    return sp.csr_matrix(at, shape=(n_items, n_items))


class EaseConfig(ModelConfig):
    """Hyper-parameters of EASE."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    regularization: Positive = 500.0
    """Ridge penalty λ; higher overfits less."""
    decay: Positive = 10.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""
    top_weights: Count = 512
    """Number of largest weights kept for each item; fewer saves memory and time, at some loss."""
    max_items: Count = 10_000
    """Maximum number of items, the most used ones; memory grows with the square and time with the cube."""


@register(
    "ease",
    "ease_long",
    config=EaseConfig,
    paper="Steck, WWW 2019",
    cost="16 bytes x items squared while fitting",
    ceiling="the `max_items` most used items",
)
class Ease(LearnedItemToItem):
    """Item-to-item weights of a ridge regression of each item on all others."""

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: EaseConfig, *, clock: bool) -> Self:
        """Solve the closed form on the user-item matrix."""
        active = most_used(train, catalogue.n_items, config.max_items)
        x = user_item_matrix(train, catalogue.n_items)[:, active]
        p = inverse((x.T @ x).toarray(), config.regularization)
        p /= -np.diag(p)[None, :]
        p[np.diag_indices_from(p)] = 0.0
        return cls.of(spread(strongest(p, config.top_weights), active, catalogue.n_items), config.decay)
