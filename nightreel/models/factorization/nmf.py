"""NMF: non-negative factorization of the user-item matrix, with fold-in of new users by multiplicative updates.

Source: Lee & Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000; fitted by scikit-learn's coordinate
descent (Cichocki & Phan 2009). Non-negative factors are coarser than signed ones, and make different errors. Dividing
columns by popularity, which helps Svd, was tried and lowered the quality.
Memory: items x factors. Ceiling: a million events a minute at 32 factors; scoring a history takes factors² x UPDATES.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.config import Count, ModelConfig, NotNegative, Positive, Seed
from nightreel.models.fixed_blocks import product
from nightreel.models.item_to_item import recency_weights, user_item_matrix, weighted_matrix
from nightreel.models.registry import register

UPDATES = 50  # of a history's factors, after which the order of scores no longer changes
TINY = 1e-9


class NmfConfig(ModelConfig):
    """Hyper-parameters of NMF."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    factors: Count = 48
    """Number of factors; time grows linearly."""
    regularization: NotNegative = 0.1
    """Penalty on factors, per event; higher overfits less."""
    iterations: Count = 50
    """Iterations of coordinate descent; time grows linearly."""
    seed: Seed = 1
    """Seed of the random initialisation."""
    decay: Positive = 10.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "nmf",
    config=NmfConfig,
    paper="Lee & Seung, NIPS 2000; Cichocki & Phan 2009",
    cost="items x factors x 4 bytes",
    ceiling="a million events a minute at 32 factors",
)
@dataclass(frozen=True)
class Nmf:
    """A fitted NMF. parts: float32 [n_items, factors] >= 0, the items' factors."""

    parts: npt.NDArray[np.float32]
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: NmfConfig, *, clock: bool) -> Self:
        """Factorize the binary user-item matrix, with fewer factors where there are fewer users or items."""
        from sklearn.decomposition import NMF  # needed only for training

        taken = user_item_matrix(train, catalogue.n_items)
        factors = min(config.factors, *taken.shape)
        if factors < 1 or not taken.nnz:
            return cls(np.zeros((catalogue.n_items, 1), np.float32), config.decay)
        model = NMF(
            factors,
            init="random",  # the default divides by zero where the rank is below the number of factors
            tol=0.0,  # a fixed number of iterations
            max_iter=config.iterations,
            alpha_W=config.regularization * taken.nnz / (taken.shape[0] * taken.shape[1]),
            random_state=config.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(taken)
        return cls(np.ascontiguousarray(model.components_.T, np.float32), config.decay)

    def with_scoring_params(self, config: NmfConfig) -> Self:
        """The same factors with another decay."""
        return replace(self, decay=config.decay)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] >= 0; zeros for an empty history."""
        return np.asarray(self.queries(histories) @ self.parts.T, np.float32)

    @property
    def keys(self) -> npt.NDArray[Any]:
        """[n_items, parts] the items' shares of the parts."""
        return self.parts

    def queries(self, histories: Histories) -> npt.NDArray[Any]:
        """[n, parts] the histories' shares."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.parts))
        wanted = np.asarray(profile @ self.parts)
        gram = self.parts.T @ self.parts
        users = wanted.copy()
        for _ in range(UPDATES):
            users *= wanted / (product(users, gram) + TINY)
        return users

    def arrays(self) -> Arrays:
        """The items' factors and the decay."""
        return {"parts": self.parts, "decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`."""
        return cls(np.asarray(arrays["parts"]), float(arrays["decay"][0]))
