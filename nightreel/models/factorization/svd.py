"""Truncated SVD of the scaled user-item matrix, asked with a recency-weighted history.

Source: Cremonesi et al., "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys 2010 (PureSVD);
columns scaled by popularity as in Nikolakopoulos et al., "EigenRec", Knowledge and Information Systems 2019. With X the
binary matrix and D the items' audiences, X D^-s = U S V'; a history h scores (h D^-s V) V' D^s.
Memory: items x factors. Ceiling: millions of events a minute; a history that was never seen needs no new factors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Hyper, Scores
from nightreel.models.factorization.truncated_svd import leading
from nightreel.models.item_to_item import binary_matrix, recency_weights, weighted_matrix


@dataclass(frozen=True)
class Svd:
    """Hyper-parameters: factors, scaling s, decay (events). told, asked: float32 [n_items, factors]."""

    asked_with: ClassVar[frozenset[str]] = frozenset({"decay"})
    told: npt.NDArray[np.float32]
    asked: npt.NDArray[np.float32]
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, hyper: Hyper, *, clock: bool) -> Self:
        """The leading factors by ARPACK; fewer where the data have fewer users or items."""
        x = binary_matrix(train, catalogue.n_items)
        audience = np.asarray(x.sum(axis=0), np.float64).ravel() + 1.0
        factors = min(int(hyper["factors"]), min(x.shape) - 1)
        if factors < 1 or not x.nnz:
            none = np.zeros((catalogue.n_items, 1), np.float32)
            return cls(none, none, hyper["decay"])
        vectors, _ = leading(x.multiply(audience[None, :] ** -hyper["scaling"]).tocsr(), factors)
        told = vectors * audience[:, None] ** -hyper["scaling"]
        asked = vectors * audience[:, None] ** hyper["scaling"]
        return cls(told.astype(np.float32), asked.astype(np.float32), hyper["decay"])

    def asking(self, hyper: Hyper) -> Self:
        """The same factors asked with another decay."""
        return replace(self, decay=float(hyper["decay"]))

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items]; zeros for an empty history."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.told))
        return np.asarray((profile @ self.told) @ self.asked.T, np.float32)

    def arrays(self) -> Arrays:
        """Both scalings of the item factors, and the decay."""
        return {"told": self.told, "asked": self.asked, "decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()`."""
        return cls(np.asarray(arrays["told"]), np.asarray(arrays["asked"]), float(arrays["decay"][0]))
