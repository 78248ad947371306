"""Logistic regression of every label against the rest, all labels at once, with calibrated probabilities.

The objective is scikit-learn's `LogisticRegression` (L2, intercept free) for each label; solving all of them in one
L-BFGS shares the products with the features, and one change of coordinates serves them all.
Source of the calibration: Platt, "Probabilistic outputs for support vector machines" (1999), with his smoothed targets.
Memory: two [items, labels] tables and the features, in float64. Ceiling: `understand.tags.most_items`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
STEPS = 300
TOLERANCE = 3e-4
NEWTON_STEPS = 50


@dataclass(frozen=True)
class Head:
    """weights: [dim, labels]; bias: [labels]. Scores are log odds."""

    weights: Array
    bias: Array

    def scores(self, vectors: npt.ArrayLike) -> Array:
        """[n, labels] log odds of [n, dim] vectors."""
        found: Array = np.asarray(vectors, np.float64) @ self.weights + self.bias
        return found


@dataclass(frozen=True)
class Scaling:
    """Log odds to probabilities, label by label: slope and offset [labels]."""

    slope: Array
    offset: Array

    def probabilities(self, scores: Array) -> Array:
        """[n, labels] in 0–1."""
        found: Array = expit(scores * self.slope + self.offset)
        return found


def fit_head(vectors: npt.ArrayLike, labels: Flags, strength: float) -> Head:
    """Fit to [n, dim] vectors and [n, labels] flags; strength: of the fit against the penalty (scikit-learn's C)."""
    x, sign = np.asarray(vectors, np.float64), np.where(labels, 1.0, -1.0)
    n, shape = len(x), (x.shape[1] + 1, labels.shape[1])
    rate = np.clip(labels.mean(0), 1 / (n + 1), n / (n + 1))
    spread = rate * (1 - rate)
    # In these coordinates the curvature is nearly the same in every direction: a fifth of the steps.
    basis = _basis(x, float(spread.mean()), strength)
    rotated, scale = x @ basis, np.sqrt(spread.mean() / spread)
    del x  # as large as `rotated`, and needed no more

    def loss(flat: Array) -> tuple[float, Array]:
        table = flat.reshape(shape) * scale
        weights = basis @ table[:-1]
        margin = sign * (rotated @ table[:-1] + table[-1])
        value = np.logaddexp(0.0, -margin).sum() / n + (weights**2).sum() / (2 * strength * n)
        slope = -sign * expit(-margin) / n
        gradient = np.vstack([rotated.T @ slope + basis.T @ weights / (strength * n), slope.sum(0)])
        return float(value), (gradient * scale).ravel()

    start = np.zeros(shape)
    start[-1] = np.log(rate / (1 - rate)) / scale
    options: dict[str, Any] = {"maxiter": STEPS, "gtol": TOLERANCE, "ftol": 0.0}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape) * scale
    return Head(basis @ found[:-1], found[-1])


def _basis(x: Array, spread: float, strength: float) -> Array:
    """[dim, dim]: columns along which the objective's mean curvature is 1."""
    curvature = (x.T @ x) * (spread / len(x)) + np.eye(x.shape[1]) / (strength * len(x))
    found: Array = solve_triangular(np.linalg.cholesky(curvature), np.eye(x.shape[1]), lower=True).T
    return found


def fit_scaling(scores: Array, labels: Flags) -> Scaling:
    """Platt's sigmoid for each label, of scores [n, labels] that the head had not been fitted on; by Newton steps."""
    positives = labels.sum(0)
    high, low = (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    target = np.where(labels, high, low)
    slope, offset = np.ones(scores.shape[1]), np.zeros(scores.shape[1])
    for _ in range(NEWTON_STEPS):
        found = expit(scores * slope + offset)
        wrong, weight = found - target, found * (1 - found) + 1e-12
        g1, g0 = (wrong * scores).sum(0), wrong.sum(0)
        h11, h10, h00 = (weight * scores**2).sum(0) + 1e-6, (weight * scores).sum(0), weight.sum(0) + 1e-6
        determinant = h11 * h00 - h10**2
        step1, step0 = (h00 * g1 - h10 * g0) / determinant, (h11 * g0 - h10 * g1) / determinant
        # A full step from far away may overshoot.
        slope, offset = slope - np.clip(step1, -1, 1), offset - np.clip(step0, -1, 1)
        if max(np.abs(step1).max(), np.abs(step0).max()) < 1e-9:
            break
    return Scaling(slope, offset)
