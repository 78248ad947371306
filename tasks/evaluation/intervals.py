"""Bootstrap over users: intervals of a mean, and of the paired relative difference of two means.

The user is the unit that is drawn, since a user's rows (several folds) are not independent. Weights are drawn in blocks
of replicates and applied by a matrix product, so that all metrics of all models share the draws and memory stays
bounded: one block is 32 MB whatever the number of users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.data.histories import FloatArray

_BLOCK = 2**22  # weights in a block of replicates: 32 MB of float64


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds between which it would fall in repeated samples of users."""

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """The paired relative difference (a - b) / b of two means over the same users.

    low, high: each a one-sided bound; half_width: half their distance; users: behind the figure;
    users_needed: about how many would bring the half-width down to the margin that it was asked for.
    """

    point: float
    low: float
    high: float
    half_width: float
    users: int
    users_needed: int


def draws(n: int, replicates: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Blocks [b, n] of multinomial weights: how often each of n users stands in a replicate; rows sum to n."""
    step = max(_BLOCK // max(n, 1), 1)
    for start in range(0, replicates, step):
        block = np.empty((min(step, replicates - start), n))
        for row in block:
            # Drawing n users and counting them is the multinomial, at a tenth of rng.multinomial's time.
            row[:] = np.bincount(rng.integers(0, n, n, dtype=np.int32), minlength=n)
        yield block


def replicate_means(
    sums: FloatArray, counts: FloatArray, replicates: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """[replicates, m] resampled means of m figures. sums: [n, m] per user over the user's rows; counts: [n] rows."""
    columns = np.column_stack([sums, counts])
    totals = [block @ columns for block in draws(len(counts), replicates, rng)]
    stacked = np.concatenate(totals) if totals else np.empty((0, columns.shape[1]))
    return np.asarray(stacked[:, :-1] / stacked[:, -1:], np.float64)


def interval(point: float, means: FloatArray) -> Interval:
    """Two-sided 95% percentile interval of a mean from its replicates [r]."""
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(point), float(low), float(high))


def mean_interval(values: FloatArray, replicates: int, rng: np.random.Generator) -> Interval:
    """The mean of [n] figures, one a user, with its two-sided 95% interval; n at least 1."""
    means = replicate_means(values[:, None], np.ones(len(values)), replicates, rng)
    return interval(float(values.mean()), means[:, 0])


def relative_difference(
    points: tuple[float, float], means: tuple[FloatArray, FloatArray], users: int, *, confidence: float, margin: float
) -> Difference | None:
    """Paired relative difference of a to b, from replicates [r] drawn with the same weights.

    None where b's mean is 0: a share of nothing is undefined, and the caller has to say so. Replicates in which b
    happens to be 0 (few users) are left out of the bounds.
    """
    if not users or points[1] <= 0:
        return None
    usable = means[1] > 0
    ratios = (means[0][usable] - means[1][usable]) / means[1][usable]
    low, high = (float(q) for q in np.quantile(ratios, [1 - confidence, confidence]))
    half_width = (high - low) / 2
    needed = int(np.ceil(users * (half_width / margin) ** 2))
    return Difference((points[0] - points[1]) / points[1], low, high, half_width, users, needed)
