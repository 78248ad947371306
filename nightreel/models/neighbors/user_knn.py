"""User-kNN: items of the users with the most similar histories, with a recency-weighted history.

Source: Herlocker et al., "An Algorithmic Framework for Performing Collaborative Filtering", SIGIR 1999. The recency
weights of the history are an addition. Memory: the user-item matrix (4 bytes an event). Ceiling: about 100,000 users,
because a history is compared with all of them.
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
from nightreel.models.config import Count, ModelConfig, NotNegative, Positive
from nightreel.models.item_to_item import recency_weights, user_item_matrix, weighted_matrix
from nightreel.models.registry import register


class UserKnnConfig(ModelConfig):
    """Hyper-parameters of user-kNN."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay", "neighbors", "shrink"})

    neighbors: Count = 100
    """Number of most similar users that are used; more is steadier and less personal."""
    shrink: NotNegative = 10.0
    """Shrinkage added to the norm, in events; higher discounts pairs with few common users."""
    decay: Positive = 5.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "user_knn",
    config=UserKnnConfig,
    paper="Herlocker et al., SIGIR 1999",
    cost="4 bytes an event",
    ceiling="about 100,000 users",
)
@dataclass(frozen=True)
class UserKnn:
    """The training histories, and the parameters of their comparison. taken: binary [users, n_items]."""

    taken: sp.csr_matrix
    neighbours: int
    shrink: float
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: UserKnnConfig, *, clock: bool) -> Self:
        """Store the user-item matrix; similarities are computed when scoring."""
        return cls(user_item_matrix(train, catalogue.n_items), config.neighbors, config.shrink, config.decay)

    def with_scoring_params(self, config: UserKnnConfig) -> Self:
        """The same matrix with other parameters."""
        return replace(self, neighbours=config.neighbors, shrink=config.shrink, decay=config.decay)

    @cached_property
    def _by_item(self) -> sp.csr_matrix:
        """[n_items, users] weights 1 / sqrt(items of the user + shrink)."""
        size = np.sqrt(np.diff(self.taken.indptr) + self.shrink)
        return sp.csr_matrix(self.taken.multiply(1.0 / size[:, None]).T.tocsr(), dtype=np.float32)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] summed similarity of the nearest users who have used an item; zeros for an empty history."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), self.taken.shape[1])
        similarity = (profile @ self._by_item).toarray()
        keep = min(self.neighbours, similarity.shape[1])
        nearest = np.sort(np.argpartition(-similarity, keep - 1, axis=1)[:, :keep], axis=1)
        weight = np.take_along_axis(similarity, nearest, axis=1)
        indptr = np.arange(0, len(histories) * keep + 1, keep)
        chosen = sp.csr_matrix((weight.ravel(), nearest.ravel(), indptr), shape=similarity.shape)
        return np.asarray((chosen @ self.taken).toarray(), np.float32)

    def arrays(self) -> Arrays:
        """The indices of the binary matrix, and the parameters."""
        return {
            "indices": self.taken.indices.astype(np.int32),
            "indptr": self.taken.indptr.astype(np.int64),
            "asked": np.array([self.neighbours, self.shrink, self.decay]),
        }

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`."""
        ones = np.ones(len(arrays["indices"]), np.float32)
        shape = (len(arrays["indptr"]) - 1, catalogue.n_items)
        taken = sp.csr_matrix((ones, arrays["indices"], arrays["indptr"]), shape=shape, copy=False)
        neighbours, shrink, decay = arrays["asked"].tolist()
        return cls(taken, int(neighbours), shrink, decay)
