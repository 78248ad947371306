"""Bootstrap over users: intervals of a mean, and of the paired relative difference of two means.

Users are resampled, since a user's rows (several folds) are not independent. Weights are drawn in blocks of replicates
and applied by a matrix product, so that all metrics of all models share them and memory stays bounded: a block takes
32 MB for any number of users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray

POWER = 0.8  # of the minimum detectable effect
_BLOCK = 2**22  # weights in a block of replicates: 32 MB of float64


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval over samples of users."""

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The paired relative difference (a - b) / b of two means over the same users.

    low, high: one-sided bounds; half_width: half their distance; users: number of users; users_needed: about how many
    users would reduce the half-width to half the margin, where no result is inconclusive; deviation: standard deviation
    of the replicates; detectable: the smallest true loss that would be significant (upper bound below 0) in a share
    POWER of all samples of this size.
    """

    point: float
    low: float
    high: float
    half_width: float
    users: int
    users_needed: int
    deviation: float
    detectable: float


class Draws:
    """Fixed bootstrap samples of n users, shared by all metrics; stored as bytes: 40 MB for 2,000 replicates of 20,000
    users. Counts stay far below 256, since a user is in a replicate once on average."""

    def __init__(self, n: int, replicates: int, rng: np.random.Generator) -> None:
        self._blocks = [block.astype(np.uint8) for block in draws(n, replicates, rng)]

    def totals(self, columns: FloatArray) -> FloatArray:
        """[replicates, m] resampled sums of columns [n, m], one row per user."""
        return np.concatenate([block.astype(np.float64) @ columns for block in self._blocks])


def draws(n: int, replicates: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Blocks [b, n] of multinomial weights: how often each of n users is in a replicate; rows sum to n."""
    step = max(_BLOCK // max(n, 1), 1)
    for start in range(0, replicates, step):
        block = np.empty((min(step, replicates - start), n))
        for row in block:
            # Drawing and counting n users gives a multinomial in a tenth of the time of rng.multinomial.
            row[:] = np.bincount(rng.integers(0, n, n, dtype=np.int32), minlength=n)
        yield block


def replicate_means(
    sums: FloatArray, counts: FloatArray, replicates: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """[replicates, m] resampled means of m values. sums: [n, m] per user over the user's rows; counts: [n] rows."""
    totals = replicate_totals(np.column_stack([sums, counts]), replicates, rng)
    return np.asarray(totals[:, :-1] / totals[:, -1:], np.float64)


def replicate_totals(columns: FloatArray, replicates: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """[replicates, m] resampled sums of columns [n, m], one row per user."""
    totals = [block @ columns for block in draws(len(columns), replicates, rng)]
    return np.concatenate(totals) if totals else np.empty((0, columns.shape[1]))


def interval(point: float, means: FloatArray) -> Interval:
    """Two-sided 95% percentile interval of a mean from its replicates [r]."""
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(point), float(low), float(high))


def mean_interval(values: FloatArray, replicates: int, rng: np.random.Generator) -> Interval:
    """The mean of [n] values, one per user, with its two-sided 95% interval; n at least 1."""
    means = replicate_means(values[:, None], np.ones(len(values)), replicates, rng)
    return interval(float(values.mean()), means[:, 0])


def relative_difference(
    points: tuple[float, float], means: tuple[FloatArray, FloatArray], users: int, *, confidence: float, margin: float
) -> Difference | None:
    """The paired relative difference (a - b) / b, from replicates [r] with the same weights.

    Args:
        points: Means of a and b.
        means: Their replicates [r].
        users: Number of users.
        confidence: Of each one-sided bound.
        margin: For `users_needed`.

    Returns:
        The difference; None if b's mean is 0 (undefined) or there is a single user (its bounds would coincide, which
        looks like certainty). Replicates in which b is 0 are excluded from the bounds.
    """
    if users < 2 or points[1] <= 0:
        return None
    usable = means[1] > 0
    if not usable.any():
        return None
    ratios = (means[0][usable] - means[1][usable]) / means[1][usable]
    low, high = (float(q) for q in np.quantile(ratios, [1 - confidence, confidence]))
    half_width = (high - low) / 2
    needed = int(np.ceil(users * (2 * half_width / margin) ** 2))
    deviation = float(ratios.std())
    detectable = (NormalDist().inv_cdf(confidence) + NormalDist().inv_cdf(POWER)) * deviation
    point = (points[0] - points[1]) / points[1]
    return Difference(point, low, high, half_width, users, needed, deviation, detectable)
