"""Content kNN: the cosine between a decayed mean of a history's content vectors and every item's vector.

Needs no behaviour at all, so a new item can be found from its first minute. Memory: the vectors. Ceiling: exact
search, about a million items a second per history and core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from tasks.data.histories import FloatArray, Histories
from tasks.models.item_to_item import recency_weights, weighted_matrix
from tasks.models.protocol import Arrays, Catalogue, Hyper, Scores


@dataclass(frozen=True)
class ContentKnn:
    """Hyper-parameter: decay (events)."""

    asked_with: ClassVar[frozenset[str]] = frozenset({"decay"})
    vectors: npt.NDArray[np.float32]
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, hyper: Hyper, *, clock: bool) -> Self:
        """Nothing is learned here: what is learned is the encoder's."""
        return cls(catalogue.vectors, hyper["decay"])

    def asking(self, hyper: Hyper) -> Self:
        """The same vectors asked with another decay."""
        return replace(self, decay=float(hyper["decay"]))

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] cosine in [-1, 1]; zeros for an empty history."""
        decayed = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.vectors))
        profile = np.asarray(decayed @ self.vectors, dtype=np.float32)
        length = np.linalg.norm(profile, axis=1, keepdims=True)
        return np.asarray(profile / np.maximum(length, 1e-12) @ self.vectors.T, dtype=np.float32)

    def arrays(self) -> Arrays:
        """The decay; vectors are the catalogue's."""
        return {"decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()` and the catalogue."""
        return cls(catalogue.vectors, float(arrays["decay"][0]))
