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

from nightreel.data.histories import FloatArray
from nightreel.models.ranker.blend import WEIGHTED, Blend
from nightreel.models.training.training_examples import Examples

RIDGE = 1e-3  # per example; keeps weights finite where a feature separates the classes
POPULAR = "popular."
NEAR = 1e-4  # difference in mean log-likelihood that rounding can decide, with the fit's tolerance


def mix_columns(columns: Sequence[str], members: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of one personalised model's score and one popularity trend: the simplest rankers."""
    trends = [name for name in columns if name.startswith(POPULAR)]
    personal = [name for name in members if not name.startswith("popularity")]
    return [(f"{name}.relative", trend) for name in personal for trend in trends]


def weighed_columns(columns: Sequence[str], members: Sequence[str]) -> tuple[str, ...]:
    """The columns of the larger sum: the scores of all personalised models, and all trends."""
    scores = [f"{name}.relative" for name in members if not name.startswith("popularity")]
    return (*scores, *(name for name in columns if name.startswith(POPULAR)))


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
    """The maximum-likelihood weights, none below zero, and their mean negative log-likelihood."""
    at = [examples.columns.index(name) for name in columns]
    matrix = np.nan_to_num(examples.matrix[:, at].astype(np.float64), nan=0.0)
    starts = np.concatenate([[0], np.cumsum(examples.sizes)[:-1]])
    taken = examples.labels > 0
    share = 1.0 / np.add.reduceat(taken.astype(np.float64), starts)
    weight = np.where(
        taken, np.repeat(share, examples.sizes), 0.0
    )  # a position counts once, however many targets it has

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        return _loss(weights, matrix, starts, examples.sizes, weight)

    found = minimize(loss, np.ones(len(at)), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(at))
    weights = tuple(round(float(value), 6) for value in found.x)
    return Blend(WEIGHTED, tuple(columns), "", weights), float(found.fun)


def _loss(
    weights: FloatArray,
    matrix: FloatArray,
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    weight: FloatArray,
) -> tuple[float, FloatArray]:
    """Mean negative log-likelihood with its ridge, and its gradient."""
    utility = matrix @ weights
    utility -= np.repeat(np.maximum.reduceat(utility, starts), sizes)
    odds = np.exp(utility)
    total = np.add.reduceat(odds, starts)
    chance = odds / np.repeat(total, sizes)
    logs = utility - np.repeat(np.log(total), sizes)
    n = len(starts)
    gradient = matrix.T @ (chance - weight) / n + 2 * RIDGE * weights
    return float(-(weight @ logs) / n + RIDGE * (weights @ weights)), gradient
