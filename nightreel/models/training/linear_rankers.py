"""Linear rankers: a weighted sum of features, fitted as a conditional logit.

Source: McFadden, "Conditional logit analysis of qualitative choice behavior", 1974: one of a position's candidates is
chosen with a probability proportional to exp(weights · features). A few weights are more stable than trees where there
are few examples, or where tomorrow's tastes differ from those of the examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from nightreel.data.histories import FloatArray
from nightreel.models.ranker.aversion import COLUMNS, CONTENT
from nightreel.models.ranker.blend import WEIGHTED, Blend
from nightreel.models.training.training_examples import Examples

RIDGE = 1e-3  # per example; keeps weights finite where a feature separates the classes
POPULAR = "popular."
EXPECTED = {CONTENT: -2.0}
"""Weights that the ridge draws to, where they are not zero: until a log tells otherwise, what is more like the items
that a user turned down than like those they took to is worth less to them."""
NEAR = 1e-4  # difference in mean log-likelihood that rounding can decide, with the fit's tolerance


def mix_columns(columns: Sequence[str], members: Sequence[str]) -> list[tuple[str, ...]]:
    """All pairs of one personalised model's score and one popularity trend: the simplest rankers. What users turned
    down, where the log has such events, is in all of them."""
    trends = [name for name in columns if name.startswith(POPULAR)]
    personal = [name for name in members if not name.startswith("popularity")]
    return [(f"{name}.relative", trend, *against(columns)) for name in personal for trend in trends]


def against(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of what users turned down."""
    return tuple(name for name in columns if name in COLUMNS)


def weighed_columns(columns: Sequence[str], members: Sequence[str]) -> tuple[str, ...]:
    """The columns of the larger sum: the scores of all personalised models, and all trends."""
    scores = [f"{name}.relative" for name in members if not name.startswith("popularity")]
    return (*scores, *(name for name in columns if name.startswith(POPULAR)), *against(columns))


def mix(examples: Examples, members: Sequence[str]) -> Blend:
    """The weighted sum of one model's score and one trend with the highest likelihood; of nearly equal ones the
    first."""
    fits = [fitted(examples, pair) for pair in mix_columns(examples.columns, members)]
    best = min(loss for _, loss in fits)
    return next(blend for blend, loss in fits if loss <= best + NEAR)


def weighted(examples: Examples, members: Sequence[str]) -> Blend:
    """The weighted sum of all models' scores and all trends with the highest likelihood."""
    return fitted(examples, weighed_columns(examples.columns, members))[0]


def fitted(examples: Examples, columns: Sequence[str]) -> tuple[Blend, float]:
    """The maximum-likelihood weights and their mean negative log-likelihood. No weight is below zero, and none of what
    users turned down above it."""
    at = [examples.columns.index(name) for name in columns]
    matrix = np.nan_to_num(examples.matrix[:, at].astype(np.float64), nan=0.0)
    starts = np.concatenate([[0], np.cumsum(examples.sizes)[:-1]])
    taken = examples.labels > 0
    share = 1.0 / np.add.reduceat(taken.astype(np.float64), starts)
    weight = np.where(
        taken, np.repeat(share, examples.sizes), 0.0
    )  # a position counts once, however many targets it has

    usual = np.array([EXPECTED.get(name, 0.0) for name in columns])

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        return _loss(weights, usual, matrix, starts, examples.sizes, weight)

    lowered = [name in COLUMNS for name in columns]
    bounds = [(None, 0.0) if low else (0.0, None) for low in lowered]
    # The libraries of numpy and scipy have threads of their own, which wait for each other: one thread is many times as
    # fast, and gives the same weights whatever the number of threads.
    with threadpool_limits(1):
        found = minimize(loss, np.where(lowered, usual, 1.0), jac=True, method="L-BFGS-B", bounds=bounds)
    weights = tuple(round(float(value), 6) for value in found.x)
    return Blend(WEIGHTED, tuple(columns), "", weights), float(found.fun)


def _loss(
    weights: FloatArray,
    usual: FloatArray,
    matrix: FloatArray,
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    weight: FloatArray,
) -> tuple[float, FloatArray]:
    """Mean negative log-likelihood with its ridge around the usual weights, and its gradient."""
    utility = matrix @ weights
    utility -= np.repeat(np.maximum.reduceat(utility, starts), sizes)
    odds = np.exp(utility)
    total = np.add.reduceat(odds, starts)
    chance = odds / np.repeat(total, sizes)
    logs = utility - np.repeat(np.log(total), sizes)
    n = len(starts)
    away = weights - usual
    gradient = matrix.T @ (chance - weight) / n + 2 * RIDGE * away
    return float(-(weight @ logs) / n + RIDGE * (away @ away)), gradient
