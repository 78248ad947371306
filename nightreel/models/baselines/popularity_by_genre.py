"""Popularity by genre: decayed event counts times the similarity of an item's genres to those of the recent history.

A baseline between popularity and content: it uses a user's preferred genres, but no single items. Without genres, or
for an empty history, it equals popularity. Memory and ceiling: as for popularity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Scores, unit_rows
from nightreel.models.baselines.popularity import Popularity, PopularityConfig
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.item_to_item import recency_weights, weighted_matrix
from nightreel.models.registry import register


class GenrePopularityConfig(ModelConfig):
    """Hyper-parameters of popularity by genre."""

    scoring_params: ClassVar[frozenset[str]] = frozenset({"decay"})

    half_life_days: Positive = 30.0
    """Half-life of an event's weight, in days; 100000 counts all alike. Shorter follows trends faster, with more
    noise."""
    buckets: Count = 128
    """Number of points in time at which counts are stored; more resolves time more finely and takes more memory."""
    decay: Positive = 20.0
    """Events after which an event's weight in the history falls by a factor e; lower follows recent taste more
    closely."""


@register(
    "popularity_by_genre",
    config=GenrePopularityConfig,
    paper="event counts with exponential decay, weighted by genre similarity",
    cost="buckets x items x 4 bytes; one pass over the events",
    ceiling="any size",
)
@dataclass(frozen=True, eq=False)
class GenrePopularity:
    """Popularity and genres. genres: float32 [n_items, g] with rows of unit length."""

    counted: Popularity
    genres: npt.NDArray[np.float32]
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: GenrePopularityConfig, *, clock: bool) -> Self:
        """Count events; genres are the catalogue's."""
        counted = Popularity.fit(
            train,
            catalogue,
            PopularityConfig(half_life_days=config.half_life_days, buckets=config.buckets),
            clock=clock,
        )
        return cls(counted, catalogue.unit_genres, config.decay)

    def with_scoring_params(self, config: GenrePopularityConfig) -> Self:
        """The same counts with another decay."""
        return replace(self, decay=config.decay)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] counts as of each moment times the cosine between the genres of item and history."""
        decayed = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.genres))
        profiles = unit_rows(np.asarray(decayed @ self.genres, np.float32))
        similarity = profiles @ self.genres.T
        similarity[~profiles.any(axis=1)] = 1.0
        return np.asarray(self.counted.score(histories, moments) * similarity, np.float32)

    def arrays(self) -> Arrays:
        """The counts and the decay."""
        return self.counted.arrays() | {"decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()` and the catalogue."""
        return cls(Popularity.load(arrays, catalogue), catalogue.unit_genres, float(arrays["decay"][0]))
