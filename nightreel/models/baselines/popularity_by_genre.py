"""Popularity inside a history's genres: counts with exponential forgetting, weighted by how much an item's genres are
those of the recent history.

A baseline between popularity and content: it knows what somebody likes and nothing of single items. Without genres, or
for an empty history, it is popularity. Memory and ceiling: popularity's.
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
    """Days after which an event counts half; 100000 counts all alike."""
    buckets: Count = 128
    """Time slices at which counts are kept."""
    decay: Positive = 20.0
    """Events after which an event of the history counts exp(-1) of the last one."""


@register(
    "popularity_by_genre",
    config=GenrePopularityConfig,
    paper="counts with exponential forgetting, weighted by shared genres",
    cost="popularity's",
    ceiling="any size",
)
@dataclass(frozen=True, eq=False)
class GenrePopularity:
    """genres: [n_items, g], each item's of
    length one."""

    counted: Popularity
    genres: npt.NDArray[np.float32]
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: GenrePopularityConfig, *, clock: bool) -> Self:
        """The counts; genres are the catalogue's."""
        counted = Popularity.fit(
            train,
            catalogue,
            PopularityConfig(half_life_days=config.half_life_days, buckets=config.buckets),
            clock=clock,
        )
        return cls(counted, catalogue.unit_genres, config.decay)

    def with_scoring_params(self, config: GenrePopularityConfig) -> Self:
        """The same counts asked with another decay."""
        return replace(self, decay=config.decay)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] counts as of each moment times the cosine of the item's genres with the history's."""
        decayed = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.genres))
        profiles = unit_rows(np.asarray(decayed @ self.genres, np.float32))
        likeness = profiles @ self.genres.T
        likeness[~profiles.any(axis=1)] = 1.0
        return np.asarray(self.counted.score(histories, moments) * likeness, np.float32)

    def arrays(self) -> Arrays:
        """The counts and the decay."""
        return self.counted.arrays() | {"decay": np.array([self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()` and the catalogue."""
        return cls(Popularity.load(arrays, catalogue), catalogue.unit_genres, float(arrays["decay"][0]))
