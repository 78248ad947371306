"""The one-standard-error rule: selecting one of several rankers that were scored on the same positions.

Source: Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3: the simplest ranker within one
standard error of the best is selected, because smaller differences are due to chance. Standard errors are those of
paired differences, clustered by user, since one user's positions are not independent. Popularity is the same for all
users, so it is selected only where the personalised ranker is surely worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nightreel.data.histories import FloatArray, IntArray

SURE = 1.645  # standard errors of a one-sided 95% bound


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


def simplest(users: IntArray, scores: Mapping[str, FloatArray], order: Sequence[str]) -> str:
    """The first ranker in `order` (the simplest first) whose mean is within one standard error of the best.

    Args:
        users: [n] the user of each position.
        scores: [n] by ranker.
        order: Names of rankers.
    """
    means = {name: float(scores[name].mean()) for name in order}
    best = max(order, key=lambda name: means[name])
    for name in order:
        gap, error = difference(users, scores[best], scores[name])
        if gap <= error:
            return name
    return best


def surely_worse(users: IntArray, ours: FloatArray, theirs: FloatArray) -> bool:
    """Whether the one-sided upper 95% bound of the paired difference `ours - theirs` is below zero."""
    gap, error = difference(users, ours, theirs)
    return gap + SURE * error < 0


def surely_better(users: IntArray, ours: FloatArray, theirs: FloatArray) -> bool:
    """Whether the one-sided lower 95% bound of the paired difference `ours - theirs` is above zero."""
    return surely_worse(users, theirs, ours)
