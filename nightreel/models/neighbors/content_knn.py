"""Content kNN: cosine similarity between a decayed mean of a history's content vectors and every item's vector.

It needs no interactions, so that new items are recommended at once. Memory: the content vectors. Ceiling: scoring all
items reads all vectors, about eight million items a second and core; with an index `search` reads a few hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.ann_index import Nearest
from nightreel.models.base import Arrays, Catalogue, Scores, unit_rows
from nightreel.models.config import ModelConfig, Positive
from nightreel.models.item_to_item import recency_weights, weighted_matrix
from nightreel.models.ranker.candidates import row_products
from nightreel.models.registry import register


@dataclass(frozen=True, eq=False)
class Found:
    """Items retrieved from the index for n histories. See `Scored`.

    Attributes:
        listed: Items int32 [n, k] and cosines [n, k], -inf where there are no more.
        profiles: [n, d] decayed mean vectors of the histories.
        vectors: [n_items, d].
    """

    listed: tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
    profiles: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]

    @property
    def floor(self) -> npt.NDArray[np.float32]:
        """[n] -inf, and inf for a history without content, of which no item is a candidate."""
        return np.where(self.profiles.any(axis=1), -np.inf, np.inf).astype(np.float32)

    def __len__(self) -> int:
        return len(self.profiles)

    def top(self, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """[n, k] best items and their cosines."""
        return self.listed[0][:, :k], self.listed[1][:, :k]

    def at(self, rows: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[p] cosines of pairs of row and item."""
        return row_products(self.profiles, self.vectors, rows, items)


class ContentKnnConfig(ModelConfig):
    """Hyper-parameters of content kNN."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    decay: Positive = 10.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "content_knn",
    config=ContentKnnConfig,
    paper="cosine similarity of content vectors",
    cost="the content vectors; no training",
    ceiling="about eight million items a second and core; more with an index",
)
@dataclass(frozen=True)
class ContentKnn:
    """The catalogue's content vectors [n_items, d], the decay in events, and the index where there is one."""

    vectors: npt.NDArray[np.float32]
    decay: float
    nearest: Nearest | None = None

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: ContentKnnConfig, *, clock: bool) -> Self:
        """Take the catalogue's vectors: only the encoder is trained."""
        return cls(catalogue.vectors, config.decay, catalogue.nearest)

    def with_scoring_params(self, config: ContentKnnConfig) -> Self:
        """The same vectors with another decay."""
        return replace(self, decay=config.decay)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] cosine in [-1, 1]; zeros for an empty history."""
        return np.asarray(self.queries(histories) @ self.vectors.T, dtype=np.float32)

    @property
    def keys(self) -> npt.NDArray[Any]:
        """[n_items, d] the vectors."""
        return self.vectors

    def search(
        self, histories: Histories, exclude: Histories | None, hidden: npt.NDArray[np.bool_] | None, k: int
    ) -> Found | None:
        """Retrieve from the index; None without one. Rows are searched one by one, so that they don't affect each
        other."""
        if self.nearest is None:
            return None
        profiles, n = self.queries(histories), len(self.vectors)
        listed = np.zeros((len(histories), k), np.int32), np.full((len(histories), k), -np.inf, np.float32)
        hidden = np.zeros(n, np.bool_) if hidden is None else hidden
        for row in np.flatnonzero(profiles.any(axis=1)).tolist():
            without = np.unique(exclude[row][0] if exclude is not None else []).astype(np.int64)
            items, values = self.nearest.best(profiles[row], k, without, hidden)
            listed[0][row, : len(items)], listed[1][row, : len(items)] = items, values
        return Found(listed, profiles, self.vectors)

    def queries(self, histories: Histories) -> npt.NDArray[Any]:
        """[n, d] decayed means of unit length; zero for an empty history."""
        decayed = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.vectors))
        return unit_rows(np.asarray(decayed @ self.vectors, dtype=np.float32))

    def arrays(self) -> Arrays:
        """The decay; the vectors are stored with the catalogue."""
        return {"decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()` and the catalogue."""
        return cls(catalogue.vectors, float(arrays["decay"][0]), catalogue.nearest)
