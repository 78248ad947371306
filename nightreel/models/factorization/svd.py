"""Truncated SVD of the scaled user-item matrix, with a recency-weighted history.

Source: Cremonesi et al., "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys 2010 (PureSVD);
columns are scaled by popularity as in Nikolakopoulos et al., "EigenRec", Knowledge and Information Systems 2019. With X
the binary matrix and D the items' audiences, X D^-s = U S V'; a history h scores (h D^-s V) V' D^s. Memory: items x
factors. Ceiling: millions of events a minute; new histories need no refit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.config import Count, ModelConfig, Positive, Share
from nightreel.models.factorization.truncated_svd import leading
from nightreel.models.item_to_item import recency_weights, user_item_matrix, weighted_matrix
from nightreel.models.registry import register


class SvdConfig(ModelConfig):
    """Hyper-parameters of the truncated SVD."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    factors: Count = 64
    """Number of singular vectors; more fits finer tastes, and noise. Time grows linearly."""
    scaling: Share = 0.3
    """Exponent s of the item popularity by which columns are divided; 0: unscaled."""
    decay: Positive = 5.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "svd",
    config=SvdConfig,
    paper="Cremonesi et al., RecSys 2010; Nikolakopoulos et al., KAIS 2019",
    cost="items x factors x 8 bytes",
    ceiling="millions of events a minute",
)
@dataclass(frozen=True)
class Svd:
    """A fitted SVD.

    Attributes:
        inputs: float32 [n_items, factors] that map a history to factors.
        outputs: float32 [n_items, factors] that map factors to scores.
        decay: Number of events after which an event's weight falls by a factor e.
    """

    inputs: npt.NDArray[np.float32]
    outputs: npt.NDArray[np.float32]
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: SvdConfig, *, clock: bool) -> Self:
        """Compute the leading factors with ARPACK; fewer where there are fewer users or items."""
        x = user_item_matrix(train, catalogue.n_items)
        audience = np.asarray(x.sum(axis=0), np.float64).ravel() + 1.0
        factors = min(config.factors, min(x.shape) - 1)
        if factors < 1 or not x.nnz:
            none = np.zeros((catalogue.n_items, 1), np.float32)
            return cls(none, none, config.decay)
        vectors, _ = leading(x.multiply(audience[None, :] ** -config.scaling).tocsr(), factors)
        inputs = vectors * audience[:, None] ** -config.scaling
        outputs = vectors * audience[:, None] ** config.scaling
        return cls(inputs.astype(np.float32), outputs.astype(np.float32), config.decay)

    def with_scoring_params(self, config: SvdConfig) -> Self:
        """The same factors with another decay."""
        return replace(self, decay=config.decay)

    def placed(self, catalogue: Catalogue, rows: IntArray) -> Self:
        """The same factors for another catalogue; zero for items that it does not know. See `Placeable`."""
        known = (rows >= 0)[:, None]
        inputs, outputs = (np.where(known, each[rows], np.float32(0)) for each in (self.inputs, self.outputs))
        return replace(self, inputs=inputs, outputs=outputs)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items]; zeros for an empty history."""
        return np.asarray(self.queries(histories) @ self.outputs.T, np.float32)

    @property
    def keys(self) -> npt.NDArray[Any]:
        """[n_items, factors] what a history's factors are multiplied with."""
        return self.outputs

    def queries(self, histories: Histories) -> npt.NDArray[Any]:
        """[n, factors] of the histories."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.inputs))
        return np.asarray(profile @ self.inputs)

    def arrays(self) -> Arrays:
        """Both scalings of the item factors, under the names that published versions have, and the decay."""
        return {"told": self.inputs, "asked": self.outputs, "decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`."""
        return cls(np.asarray(arrays["told"]), np.asarray(arrays["asked"]), float(arrays["decay"][0]))
