"""Item statistics as of a moment, for the ranker's features and for the fallback list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue
from nightreel.models.baselines.popularity import DAY, Popularity, PopularityConfig


@dataclass(frozen=True)
class ItemStatistics:
    """Popularity with several half-lives, and the items' first events.

    Attributes:
        trends: Popularity by ascending half-life; the last one counts all events alike.
        first: float64 [n_items] epoch seconds of the first event, inf for none. Without a clock all are inf, because
            positions in different histories can't be compared.
        clock: Whether times are epoch seconds.
        negatives: Counts of negative events, all alike; None where the log has none.
    """

    trends: tuple[Popularity, ...]
    first: FloatArray
    clock: bool
    negatives: Popularity | None = None

    @classmethod
    def fit(
        cls, train: Histories, catalogue: Catalogue, half_lives: Sequence[float], buckets: int, clock: bool
    ) -> Self:
        """Count events. half_lives: in days, ascending. All-time popularity is added; without a clock it is the only
        trend."""

        def counted(events: Histories, life: float) -> Popularity:
            config = PopularityConfig(half_life_days=life, buckets=buckets)
            return Popularity.fit(events, catalogue, config, clock=clock)

        trends = tuple(counted(train, life) for life in ((*half_lives, np.inf) if clock else (np.inf,)))
        negatives = None if train.negatives is None else counted(train.negatives, np.inf)
        first = np.full(catalogue.n_items, np.inf)
        if clock:
            np.minimum.at(first, train.items, train.times)
        return cls(trends, first, clock, negatives)

    def ages(self, items: npt.NDArray[np.int32], moments: FloatArray) -> npt.NDArray[np.float32]:
        """[p] days since each item's first event as of its moment; NaN where it had none yet."""
        age = (moments - self.first[items]) / DAY
        return np.where(age > 0, age, np.nan).astype(np.float32)

    def newness(self, items: npt.NDArray[np.int32], moments: FloatArray) -> npt.NDArray[np.float32]:
        """[p] share of the items known at each moment whose first event is earlier, 0 to 1; NaN without an event
        yet."""
        first = self.first[items]
        older = np.searchsorted(self._firsts, first, side="left")
        known = np.maximum(np.searchsorted(self._firsts, moments, side="left"), 1)
        return np.where(first < moments, older / known, np.nan).astype(np.float32)

    @cached_property
    def _firsts(self) -> FloatArray:
        return np.sort(self.first[np.isfinite(self.first)])

    def arrays(self) -> Arrays:
        """The complete state, as arrays by name."""
        saved: Arrays = {"first": self.first, "clock": np.array([self.clock])}
        counted = {f"trend{at}": trend for at, trend in enumerate(self.trends)}
        if self.negatives is not None:
            counted["negatives"] = self.negatives
        for name, trend in counted.items():
            saved |= {f"{name}.{part}": array for part, array in trend.arrays().items()}
        return saved

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore the statistics from `arrays()`."""

        def counted(name: str) -> Popularity:
            return Popularity.load({part: arrays[f"{name}.{part}"] for part in ("edges", "table")}, catalogue)

        n = sum(name.startswith("trend") and name.endswith(".table") for name in arrays)
        negatives = counted("negatives") if "negatives.table" in arrays else None
        trends = tuple(counted(f"trend{at}") for at in range(n))
        return cls(trends, np.asarray(arrays["first"]), bool(arrays["clock"][0]), negatives)
