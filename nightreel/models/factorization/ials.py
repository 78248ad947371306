"""iALS: implicit matrix factorization by alternating least squares over all user-item pairs, with fold-in of new users.

Source: Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; loss, scaling of the
regularization and initialisation as in Rendle et al., "Revisiting the Performance of iALS on Item Recommendation
Benchmarks", RecSys 2022. With S the observed pairs, users u and items v: sum_S (1 - u'v)² + a sum_all (u'v)² + sum_u λ
(|S_u| + a items) |u|² + sum_v λ (|S_v| + a users) |v|². When scoring, the j-th event from the end of a history has
weight exp(-j / decay). Memory: (users + items) x factors. Ceiling: a row of k events costs k x factors x min(k,
factors) + min(k, factors)³: millions of short histories, 100,000 long ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.config import Count, ModelConfig, Positive, Seed
from nightreel.models.item_to_item import recency_weights, user_item_matrix, weighted_matrix
from nightreel.models.registry import register

Dense = npt.NDArray[np.float64]
CELLS = 4_000_000  # of item factors held at once: 32 MB


def solved(observed: sp.csr_matrix, other: Dense, unobserved: float, regularisation: float) -> Dense:
    """Solve the least-squares problem of every row, given the factors of the other side.

    Args:
        observed: [rows, columns] weights of the events.
        other: [columns, f] factors of the other side.
        unobserved: Weight of all pairs.
        regularisation: Ridge penalty λ.

    Returns:
        [rows, f] factors; zeros for an empty row. A row's result doesn't depend on the other rows.
    """
    # In the eigenbasis of the unobserved part, all rows share a diagonal matrix, even with different ridges.
    spectrum, axes = np.linalg.eigh(unobserved * (other.T @ other))
    turned = other @ axes
    mass = np.asarray(observed.sum(axis=1), np.float64).ravel()
    ridge = regularisation * (mass + unobserved * len(other))
    scale = 1.0 / np.sqrt(np.maximum(spectrum, 0.0) + np.maximum(ridge, 1e-12)[:, None])
    counts = np.diff(observed.indptr)
    found = np.zeros((observed.shape[0], other.shape[1]))
    for count in np.unique(counts[counts > 0]):
        same = np.flatnonzero(counts == count)
        for rows in np.array_split(same, -(-len(same) * count * other.shape[1] // CELLS)):
            events = observed.indptr[rows][:, None] + np.arange(count)
            root = np.sqrt(observed.data[events].astype(np.float64))
            taken = root[:, :, None] * turned[observed.indices[events]] * scale[rows][:, None]
            found[rows] = scale[rows] * unit_ridge(taken, root)
    return np.asarray(found @ axes.T, np.float64)


def unit_ridge(z: Dense, wanted: Dense) -> Dense:
    """[g, f] (I + Z'Z)^-1 Z'w of each Z [k, f] and w [k]; = Z'(I + ZZ')^-1 w, which is cheaper for few events."""
    turned = z.transpose(0, 2, 1)
    if z.shape[1] < z.shape[2]:
        solution = np.linalg.solve(np.eye(z.shape[1]) + z @ turned, wanted[:, :, None])
        return np.asarray((turned @ solution)[:, :, 0])
    solution = np.linalg.solve(np.eye(z.shape[2]) + turned @ z, turned @ wanted[:, :, None])
    return np.asarray(solution[:, :, 0])


class IalsConfig(ModelConfig):
    """Hyper-parameters of iALS."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    factors: Count = 64
    """Number of factors; time grows with the square."""
    regularization: Positive = 0.01
    """Ridge penalty λ; higher overfits less."""
    unobserved: Positive = 0.3
    """Weight a of all pairs, observed or not, relative to the observed ones."""
    iterations: Count = 8
    """Alternations between users and items; time grows linearly."""
    seed: Seed = 1
    """Seed of the random initialisation."""
    decay: Positive = 5.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "ials",
    config=IalsConfig,
    paper="Hu, Koren & Volinsky, ICDM 2008; Rendle et al., RecSys 2022",
    cost="(users + items) x factors x 8 bytes",
    ceiling="millions of short histories, 100,000 long ones",
)
@dataclass(frozen=True)
class Ials:
    """items: float32 [n_items, factors]; unobserved and regularisation are those of the fit."""

    items: npt.NDArray[np.float32]
    unobserved: float
    regularisation: float
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: IalsConfig, *, clock: bool) -> Self:
        """Alternate `iterations` times between solving for users and for items. The same seed gives the same result."""
        taken = user_item_matrix(train, catalogue.n_items)
        takers = taken.T.tocsr()
        unobserved, regularisation = config.unobserved, config.regularization
        factors = config.factors
        generator = np.random.default_rng(config.seed)
        items = generator.normal(0.0, 0.1 / np.sqrt(factors), (catalogue.n_items, factors))
        for _ in range(config.iterations):
            users = solved(taken, items, unobserved, regularisation)
            items = solved(takers, users, unobserved, regularisation)
        return cls(items.astype(np.float32), unobserved, regularisation, config.decay)

    def with_scoring_params(self, config: IalsConfig) -> Self:
        """The same factors with another decay."""
        return replace(self, decay=config.decay)

    @cached_property
    def _exact(self) -> Dense:
        """[n_items, factors] in double precision, in which rows are solved."""
        return np.asarray(self.items, np.float64)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items]; zeros for an empty history."""
        return np.asarray(self.queries(histories) @ self.items.T, np.float32)

    @property
    def keys(self) -> npt.NDArray[Any]:
        """[n_items, factors] of the items."""
        return self.items

    def queries(self, histories: Histories) -> npt.NDArray[Any]:
        """[n, factors] of the histories, each solved for by itself."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.items))
        return solved(profile, self._exact, self.unobserved, self.regularisation).astype(np.float32)

    def arrays(self) -> Arrays:
        """The items' factors and the parameters of the fold-in."""
        return {"items": self.items, "asked": np.array([self.unobserved, self.regularisation, self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`."""
        return cls(np.asarray(arrays["items"]), *arrays["asked"].tolist())
