"""NMF: non-negative factors of the user-item matrix, an unseen history folded in by multiplicative updates.

Source: Lee & Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000; fitted by scikit-learn's coordinate
descent (Cichocki & Phan 2009). Parts that add up without cancelling out are coarser than signed factors, and err
otherwise than they do. Dividing columns by popularity, which helps Svd, was tried: it lowered the quality.
Memory: items x factors. Ceiling: a million events a minute at 32 factors; a history costs factors² x UPDATES.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Hyper, Scores
from nightreel.models.item_to_item import binary_matrix, recency_weights, weighted_matrix

UPDATES = 50  # of a history's factors; their scores' order has settled by then
TINY = 1e-9


@dataclass(frozen=True)
class Nmf:
    """Hyper-parameters: factors, regularisation (per event), sweeps, seed, decay (events).

    parts: float32 [n_items, factors] >= 0.
    """

    asked_with: ClassVar[frozenset[str]] = frozenset({"decay"})
    parts: npt.NDArray[np.float32]
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, hyper: Hyper, *, clock: bool) -> Self:
        """Fewer factors where the data have fewer users or items."""
        from sklearn.decomposition import NMF  # training alone needs it

        taken = binary_matrix(train, catalogue.n_items)
        factors = min(int(hyper["factors"]), *taken.shape)
        if factors < 1 or not taken.nnz:
            return cls(np.zeros((catalogue.n_items, 1), np.float32), float(hyper["decay"]))
        model = NMF(
            factors,
            init="random",  # the default start divides by zero where the rank is below the factors
            tol=0.0,  # always the same number of sweeps
            max_iter=int(hyper["sweeps"]),
            alpha_W=float(hyper["regularisation"]) * taken.nnz / (taken.shape[0] * taken.shape[1]),
            random_state=int(hyper["seed"]),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(taken)
        return cls(np.ascontiguousarray(model.components_.T, np.float32), float(hyper["decay"]))

    def asking(self, hyper: Hyper) -> Self:
        """The same parts asked with another decay."""
        return replace(self, decay=float(hyper["decay"]))

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] >= 0; zeros for an empty history."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.parts))
        wanted = np.asarray(profile @ self.parts)
        gram = self.parts.T @ self.parts
        users = wanted.copy()
        for _ in range(UPDATES):
            users *= wanted / (users @ gram + TINY)
        return np.asarray(users @ self.parts.T, np.float32)

    def arrays(self) -> Arrays:
        """The parts and the decay."""
        return {"parts": self.parts, "decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()`."""
        return cls(np.asarray(arrays["parts"]), float(arrays["decay"][0]))
