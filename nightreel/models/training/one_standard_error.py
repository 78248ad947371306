"""The one-standard-error rule: selecting one of several rankers or settings that were scored on the same positions.

Source: Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3: the simplest ranker within one
standard error of the best is selected, because smaller differences are due to chance. Standard errors are those of
paired differences, clustered by user, since one user's positions are not independent. Popularity is the same for all
users, so it is selected only where the personalised ranker is surely worse.

Where the best is wanted, near ties still fall to the simpler side: rounding differs between CPUs, and must not decide
which of two equally good settings tomorrow's lists come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nightreel.data.histories import FloatArray, IntArray

SURE = 1.645  # standard errors of a one-sided 95% bound
NEAR = 0.25  # standard errors below which a difference is a near tie: other data would reverse two of five
ROUNDING = 0.002  # share of the mean below which it is one, too: a few lists in which rounding swaps two items


@dataclass(frozen=True)
class PositionScores:
    """Scores of one ranker or setting. users: [n] the user of each position; ndcg: [n]."""

    users: IntArray
    ndcg: FloatArray

    @property
    def mean(self) -> float:
        """Mean over the positions; 0 without any."""
        return float(self.ndcg.mean()) if len(self.ndcg) else 0.0


def difference(users: IntArray, ours: FloatArray, theirs: FloatArray) -> tuple[float, float]:
    """Mean paired difference and its cluster-robust standard error.

    Source: the ratio estimator of Cochran, "Sampling Techniques", 1977, section 9A.

    Args:
        users: [n] the user of each position; users are the clusters.
        ours: [n] scores of one ranker.
        theirs: [n] scores of the other.

    Returns:
        Mean of `ours - theirs`, and its standard error.
    """
    if not len(users):
        return 0.0, 0.0
    gap = ours - theirs
    mean = float(gap.mean())
    _, at = np.unique(users, return_inverse=True)
    sums = np.bincount(at, weights=gap - mean)
    n = len(sums)
    return mean, float(np.sqrt((sums**2).sum() * n / max(n - 1, 1)) / len(gap))


def simplest(users: IntArray, scores: Mapping[str, FloatArray], order: Sequence[str], within: float = 1.0) -> str:
    """The first ranker in `order` (the simplest first) whose mean is near enough to the best one.

    Args:
        users: [n] the user of each position.
        scores: [n] by ranker.
        order: Names of rankers.
        within: Standard errors that count as near; 1 for the one-standard-error rule, NEAR for near ties alone.
    """
    if not len(users):
        return order[0]
    best = max(order, key=lambda name: float(scores[name].mean()))
    return next(name for name in order if _near(users, scores[best], scores[name], within))


def _near(users: IntArray, ours: FloatArray, theirs: FloatArray, within: float) -> bool:
    """Whether ours are not better than theirs by more than `within` standard errors and by more than rounding."""
    gap, error = difference(users, ours, theirs)
    return gap <= max(within * error, ROUNDING * abs(float(ours.mean())))


def surely_worse(users: IntArray, ours: FloatArray, theirs: FloatArray) -> bool:
    """Whether the one-sided upper 95% bound of the paired difference `ours - theirs` is below zero."""
    gap, error = difference(users, ours, theirs)
    return gap + SURE * error < 0


def clearly_better(ours: PositionScores, theirs: PositionScores) -> bool:
    """Whether ours are better than theirs, at the same positions, by more than a near tie."""
    return bool(len(ours.users)) and not _near(ours.users, ours.ndcg, theirs.ndcg, NEAR)


def surely_better(users: IntArray, ours: FloatArray, theirs: FloatArray) -> bool:
    """Whether the one-sided lower 95% bound of the paired difference `ours - theirs` is above zero."""
    return surely_worse(users, theirs, ours)
