"""What "now" means to a bundle: the moment an answer's features are computed for, and the one expiry is judged at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.data.histories import FloatArray, Histories

STEP_S = 60.0  # apart, in a history given without times: one sitting


@dataclass(frozen=True)
class Clock:
    """ordered: times are positions, not epoch seconds; until: when the bundle's data end; by_user: a known user's
    moment is that of their last event, not `until` (as the bundle was evaluated)."""

    ordered: bool
    until: float
    by_user: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Clock:
        """From a bundle's config."""
        return cls(config["clock"] == "order", float(config["data_until"]), config["moment"] == "last_event")

    def moments(self, past: Histories, at: float | None) -> FloatArray:
        """[n] moments of answers to users' histories; NaN: just after the last event that the bundle knows."""
        if at is not None:
            return np.full(len(past), at)
        return past.last_times if self.by_user else np.full(len(past), self.until)

    def expiry(self, n: int, at: float | None) -> FloatArray:
        """[n] instants at which expiry is judged: `at`, else the data's end; NaN for positions, which can't be
        compared with dates."""
        return np.full(n, np.nan if self.ordered else self.until if at is None else at)

    def sitting(self, items: list[int], at: float | None) -> Histories:
        """One row of item indices that were given without times, the last of them at `at` or when the data end."""
        steps = np.arange(len(items), dtype=np.float64)
        if not self.ordered:
            steps = (self.until if at is None else at) - STEP_S * steps[::-1]
        return Histories.from_rows([(items, steps.tolist())])
