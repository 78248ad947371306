"""One-vs-rest logistic regression, all labels at once, with calibrated probabilities.

The objective is scikit-learn's `LogisticRegression` (L2, intercept free) for each label; solving all of them in one
L-BFGS shares the products with the features, and one change of coordinates serves them all.
Source of the calibration: Platt, "Probabilistic outputs for support vector machines" (1999), with his smoothed targets.
Memory: a block of the examples, which are read from disk in every step. Time: some hundred passes over the examples per
fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.floating[Any]]
Examples = Callable[[], Iterable[tuple[Vectors, Flags]]]
"""Each call iterates over all examples: blocks of vectors [n, dim] and flags [n, labels]."""
STEPS = 300
TOLERANCE = 1e-3
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

    def of(self, labels: slice) -> Head:
        """The head of some labels only."""
        return Head(self.weights[:, labels], self.bias[labels])


@dataclass(frozen=True)
class Scaling:
    """Converts log odds to probabilities per label: slope and offset [labels]."""

    slope: Array
    offset: Array

    def probabilities(self, scores: Array) -> Array:
        """[n, labels] in 0–1."""
        found: Array = expit(scores * self.slope + self.offset)
        return found


def fit_head(read: Examples, strength: float) -> Head:
    """Fit to the examples, which are read again in every step. strength: of the fit relative to the penalty
    (scikit-learn's C)."""
    n, sums, products = _moments(read())
    rate = np.clip(sums / n, 1 / (n + 1), n / (n + 1))
    spread = rate * (1 - rate)
    # In these coordinates the curvature is nearly the same in every direction, which needs a fifth of the steps.
    basis = _basis(products, n, float(spread.mean()), strength)
    scale, shape = np.sqrt(spread.mean() / spread), (len(basis) + 1, len(rate))

    def loss(flat: Array) -> tuple[float, Array]:
        table = flat.reshape(shape) * scale
        weights = basis @ table[:-1]
        value, pull = (weights**2).sum() / (2 * strength * n), weights / (strength * n)
        own = np.zeros(len(rate))
        for vectors, labels in read():
            scores = vectors @ weights.astype(vectors.dtype) + table[-1].astype(vectors.dtype)
            # One exponential serves both: log(1 + exp(s)) is log1p(small) + max(s, 0).
            small = np.exp(-np.abs(scores))
            value += (np.log1p(small) + np.maximum(scores, 0)).sum(dtype=float) / n
            value -= scores[labels].sum(dtype=float) / n
            slope = (np.where(scores >= 0, 1, small) / (1 + small) - labels) / n
            pull, own = pull + vectors.T @ slope, own + slope.sum(0, dtype=float)
        return float(value), (np.vstack([basis.T @ pull, own]) * scale).ravel()

    start = np.zeros(shape)
    start[-1] = np.log(rate / (1 - rate)) / scale
    options: dict[str, Any] = {"maxiter": STEPS, "gtol": TOLERANCE, "ftol": 0.0, "maxcor": 20}
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape) * scale
    return Head(basis @ found[:-1], found[-1])


def _moments(examples: Iterable[tuple[Vectors, Flags]]) -> tuple[int, Array, Array]:
    """Number of examples, [labels] sums of the flags, [dim, dim] sums of products of the vectors."""
    n, sums, products = 0, np.zeros(1), np.zeros((1, 1))
    for vectors, labels in examples:
        n, sums, products = n + len(labels), sums + labels.sum(0), products + vectors.T @ vectors
    return n, sums, products


def _basis(products: Array, n: int, spread: float, strength: float) -> Array:
    """[dim, dim]: columns along which the objective's mean curvature is 1."""
    own = np.eye(len(products))
    curvature = products * (spread / n) + own / (strength * n)
    found: Array = solve_triangular(np.linalg.cholesky(curvature), own, lower=True).T
    return found


def fit_scaling(scores: Array, labels: Flags) -> Scaling:
    """Platt scaling for each label, from scores [n, labels] on which the head was not fitted; by Newton steps."""
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
