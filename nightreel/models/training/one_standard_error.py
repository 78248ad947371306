"""Which ranker to take, of several that were judged on the same questions.

The rule of one standard error (Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3): of all that
are within one standard error of the best, the simplest, for a choice by a hair is a choice by chance. Errors are those
of paired differences, by user, since one user's questions are not independent. Popularity ranks alike for everybody, so
it is taken only where the personalised choice is surely worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nightreel.data.histories import FloatArray, IntArray

SURE = 1.645  # standard errors: one-sided, at 95%


def difference(users: IntArray, ours: FloatArray, theirs: FloatArray) -> tuple[float, float]:
    """Mean difference of two columns [n] of figures on the same questions, and its standard error with users [n] as
    clusters (a ratio estimator: Cochran, "Sampling Techniques", 1977, section 9A)."""
    if not len(users):
        return 0.0, 0.0
    gap = ours - theirs
    mean = float(gap.mean())
    _, at = np.unique(users, return_inverse=True)
    sums = np.bincount(at, weights=gap - mean)
    n = len(sums)
    return mean, float(np.sqrt((sums**2).sum() * n / max(n - 1, 1)) / len(gap))


def simplest(users: IntArray, scores: Mapping[str, FloatArray], order: Sequence[str]) -> str:
    """The first in `order`, from the simplest on, whose mean is within one standard error of the best one's."""
    means = {name: float(scores[name].mean()) for name in order}
    best = max(order, key=lambda name: means[name])
    for name in order:
        gap, error = difference(users, scores[best], scores[name])
        if gap <= error:
            return name
    return best


def surely_worse(users: IntArray, ours: FloatArray, theirs: FloatArray) -> bool:
    """Whether the paired upper bound of our figures less theirs lies below zero."""
    gap, error = difference(users, ours, theirs)
    return gap + SURE * error < 0


def surely_better(users: IntArray, ours: FloatArray, theirs: FloatArray) -> bool:
    """Whether the paired lower bound of our figures less theirs lies above zero."""
    return surely_worse(users, theirs, ours)
