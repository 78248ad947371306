"""Popularity at the time of the request, with exponential decay of older events.

Counts are stored at the ends of `buckets` time slices with equal numbers of events. A request uses the last slice that
ended before its moment, so that no event of the same second or later can leak. Without timestamps there is one slice.
An account with more than ten times the events of nearly all others, such as a bot's, counts as ten times as many; so
does one with more than ten times the events of one item.
Memory: buckets x half-lives x items x 4 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.base import Arrays, Catalogue, Scores
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.registry import register

DAY = 86_400.0


def decayed_counts(train: Histories, edges: FloatArray, half_life: float, n_items: int) -> npt.NDArray[np.float32]:
    """[len(edges) + 1, n_items] where row b sums gain x 0.5^(age / half_life) over events up to edges[b - 1]; row 0 is
    zero. An account with unusually many events, in all or of one item, counts as one with many."""
    weights = train.counted
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
        fade = fade if weights is None else fade * weights[inside]
        running += np.bincount(train.items[inside], fade, minlength=n_items)
        table[b + 1] = running
    return table


class PopularityConfig(ModelConfig):
    """Hyper-parameters of popularity."""

    half_life_days: Positive = 7.0
    """Half-life of an event's weight, in days; 100000 counts all alike. Shorter follows trends faster, with more
    noise."""
    buckets: Count = 128
    """Number of points in time at which counts are stored; more resolves time more finely and takes more memory."""


@register(
    "popularity",
    config=PopularityConfig,
    paper="event counts with exponential decay",
    cost="buckets x items x 4 bytes; one pass over the events",
    ceiling="any size",
)
@dataclass(frozen=True)
class Popularity:
    """Decayed event counts of items. edges: [slices] ends of the slices; table: float32 [slices + 1, n_items]."""

    edges: FloatArray
    table: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: PopularityConfig, *, clock: bool) -> Self:
        """Count events at the ends of slices with equal numbers of events; in a single slice without a clock."""
        if not clock or not len(train.times):
            counts = np.bincount(train.items, train.counted, catalogue.n_items).astype(np.float32)
            return cls(np.empty(0), counts[None])
        quantiles = np.linspace(0, 1, config.buckets + 1)[1:]
        edges = np.unique(np.quantile(train.times, quantiles, method="higher"))
        return cls(edges, decayed_counts(train, edges, config.half_life_days * DAY, catalogue.n_items))

    def with_scoring_params(self, config: PopularityConfig) -> Self:
        """The same model: it has no scoring parameters."""
        return self

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] decayed counts as of each moment; NaN: all events."""
        known = np.searchsorted(self.edges, moments, side="left")
        last = len(self.table) - 1
        return self.table[np.where(np.isnan(moments), last, np.minimum(known, last))]

    def counts(self, items: npt.NDArray[np.int32], moments: FloatArray) -> npt.NDArray[np.float32]:
        """[p] decayed counts of items [p] as of moments [p]."""
        return self.table[self._slices(moments), items]

    def totals(self, moments: FloatArray) -> npt.NDArray[np.float32]:
        """[n] decayed count of all items as of each moment."""
        return self._totals[self._slices(moments)]

    def _slices(self, moments: FloatArray) -> IntArray:
        return np.minimum(np.searchsorted(self.edges, moments, side="left"), len(self.table) - 1)

    @cached_property
    def _totals(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.table.sum(axis=1, dtype=np.float64), np.float32)

    def largest(self, moments: FloatArray) -> npt.NDArray[np.float32]:
        """[n] decayed count of the most popular item as of each moment."""
        return self._largest[self._slices(moments)]

    @cached_property
    def _largest(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.table.max(axis=1, initial=0.0), np.float32)

    def arrays(self) -> Arrays:
        """The ends of the slices and their counts."""
        return {"edges": self.edges, "table": self.table}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`."""
        return cls(np.asarray(arrays["edges"]), np.asarray(arrays["table"]))
