"""Popularity as of a moment, with exponential forgetting.

Counts are kept at the ends of `buckets` time slices of equal event share. A question about a moment is answered from
the last slice that was over before it, so neither a later event nor one of the same second can leak. Without a clock
there is one slice: all events.
Memory: buckets x half-lives x items x 4 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.registry import register

DAY = 86_400.0


def decayed_counts(train: Histories, edges: FloatArray, half_life: float, n_items: int) -> npt.NDArray[np.float32]:
    """[len(edges) + 1, n_items]: row b = sum over events up to edges[b - 1] of 0.5^(age / half_life); row 0 is zero."""
    bucket = np.searchsorted(edges, train.times, side="left")
    order = np.argsort(bucket, kind="stable")
    bounds = np.searchsorted(bucket[order], np.arange(len(edges) + 1))
    table = np.zeros((len(edges) + 1, n_items), np.float32)
    running = np.zeros(n_items)
    for b, edge in enumerate(edges):
        if b:
            running *= 0.5 ** ((edge - edges[b - 1]) / half_life)
        inside = order[bounds[b] : bounds[b + 1]]
        fade = 0.5 ** ((edge - train.times[inside]) / half_life)
        running += np.bincount(train.items[inside], fade, minlength=n_items)
        table[b + 1] = running
    return table


class PopularityConfig(ModelConfig):
    """Hyper-parameters of popularity."""

    half_life_days: Positive = 7.0
    """Days after which an event counts half; 100000 counts all alike."""
    buckets: Count = 128
    """Time slices at which counts are kept."""


@register(
    "popularity",
    config=PopularityConfig,
    paper="counts with exponential forgetting",
    cost="buckets x items x 4 bytes; one pass over the events",
    ceiling="any size",
)
@dataclass(frozen=True)
class Popularity:
    """How much each item was used as of a moment, newer events counting more."""

    edges: FloatArray
    table: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: PopularityConfig, *, clock: bool) -> Self:
        """Slices of equal event share; one slice without a clock."""
        if not clock or not len(train.times):
            counts = np.bincount(train.items, minlength=catalogue.n_items).astype(np.float32)
            return cls(np.empty(0), counts[None])
        quantiles = np.linspace(0, 1, config.buckets + 1)[1:]
        edges = np.unique(np.quantile(train.times, quantiles, method="higher"))
        return cls(edges, decayed_counts(train, edges, config.half_life_days * DAY, catalogue.n_items))

    def with_scoring_params(self, config: PopularityConfig) -> Self:
        """Itself: nothing is left to choose when asking."""
        return self

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] decayed counts as of each moment (NaN: as of now, all that is known)."""
        known = np.searchsorted(self.edges, moments, side="left")
        last = len(self.table) - 1
        return self.table[np.where(np.isnan(moments), last, np.minimum(known, last))]

    def largest(self, moments: FloatArray) -> npt.NDArray[np.float32]:
        """[n] the most popular item's decayed count as of each moment."""
        known = np.minimum(np.searchsorted(self.edges, moments, side="left"), len(self.table) - 1)
        return self._largest[known]

    @cached_property
    def _largest(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.table.max(axis=1, initial=0.0), np.float32)

    def arrays(self) -> Arrays:
        """The slices' ends and their counts."""
        return {"edges": self.edges, "table": self.table}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()`."""
        return cls(np.asarray(arrays["edges"]), np.asarray(arrays["table"]))
