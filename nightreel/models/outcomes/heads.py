"""Heads: small models of the probability of each outcome, beside the ranker, and the worth of a candidate.

The worth of a candidate is the sum of the values of its outcomes, each times its probability:

    worth = value of `wanted` x P(wanted) + sum over the other outcomes of value x P(outcome)

`wanted` is what the ranker is trained for, and P(wanted) is made of the ranker's score: its distance from the mean of
the row's candidates in their standard deviations, since a ranker's scores mean something within one list alone, and a
logistic curve over that (Platt, "Probabilistic outputs for support vector machines", 1999). Its value is 1 unless
another one is set, so other values are in units of what is wanted. Weighted sums of predicted probabilities as the
order of a list: Zhao et al., "Recommending what video to watch next", RecSys 2019, section 4.

Memory: the text of the trees, some 100 KB a head. Time: trees x candidates, see `lightgbm_numpy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray
from nightreel.models.ranker.lightgbm_numpy import Trees
from nightreel.outcome_values import WANTED

FOLDER = "heads"
Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Curve:
    """A logistic curve: a score's probability. Source: Platt, 1999."""

    scale: float
    shift: float

    def probability(self, scores: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """[p] probabilities of scores [p].

        Example:
            >>> Curve(2.0, 0.0).probability(np.array([0.0])).tolist()
            [0.5]
        """
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(self.scale * scores + self.shift, -50.0, 50.0))), np.float64)


@dataclass(frozen=True)
class OutcomeHead:
    """The model of one outcome. model: LightGBM's text form; curve: from the trees' sum to a probability."""

    model: str
    curve: Curve

    @cached_property
    def trees(self) -> Trees:
        """The parsed trees."""
        return Trees.read(self.model)

    def probability(self, matrix: Matrix) -> FloatArray:
        """[p] probabilities for features float32 [p, columns]."""
        return self.curve.probability(self.trees.predict(matrix).astype(np.float64))


@dataclass(frozen=True)
class Heads:
    """The heads of a version.

    Attributes:
        columns: Names of the features that they were trained on, of the ranker's.
        wanted: From a candidate's standing to P(wanted).
        by_outcome: Heads by outcome.
    """

    columns: tuple[str, ...]
    wanted: Curve
    by_outcome: Mapping[str, OutcomeHead] = field(default_factory=dict)

    def worth(
        self, value: Mapping[str, float], rows: Rows, scores: Matrix, columns: tuple[str, ...], matrix: Matrix
    ) -> npt.NDArray[np.float32]:
        """The worth of candidates; an outcome without a head counts nothing.

        Args:
            value: By outcome what one is worth.
            rows: [p] row of each candidate, ascending.
            scores: [p] of the ranker.
            columns: Names of the features.
            matrix: float32 [p, columns], the features.

        Returns:
            [p] float32.
        """
        total = value.get(WANTED, 1.0) * self.wanted.probability(standing(rows, scores))
        own = matrix[:, [columns.index(name) for name in self.columns]]
        for outcome, worth in value.items():
            if worth and outcome in self.by_outcome:
                total = total + worth * self.by_outcome[outcome].probability(own)
        return np.asarray(total, np.float32)

    def described(self) -> dict[str, Any]:
        """All but the trees, as JSON values."""
        curves = {name: [head.curve.scale, head.curve.shift] for name, head in self.by_outcome.items()}
        return {"columns": list(self.columns), "wanted": [self.wanted.scale, self.wanted.shift], "outcomes": curves}

    def write(self, folder: Path) -> None:
        """Write the trees, one file a head."""
        (folder / FOLDER).mkdir(exist_ok=True)
        for name, head in self.by_outcome.items():
            (folder / FOLDER / f"{name}.txt").write_text(head.model, "utf-8")

    @classmethod
    def read(cls, described: Mapping[str, Any], folder: Path) -> Self:
        """Read what `described` and `write` have given. Raises FileNotFoundError for a missing file."""
        heads = {
            name: OutcomeHead((folder / FOLDER / f"{name}.txt").read_text("utf-8"), Curve(*curve))
            for name, curve in described["outcomes"].items()
        }
        return cls(tuple(described["columns"]), Curve(*described["wanted"]), heads)


def standing(
    rows: Rows, scores: npt.NDArray[np.floating[Any]], among: npt.NDArray[np.bool_] | None = None
) -> FloatArray:
    """[p] distance of each score from the mean of its row, in the row's standard deviations; 0 where all are equal.

    Args:
        rows: [p] row of each score.
        scores: [p].
        among: [p] those that make mean and deviation; None: all.

    Example:
        >>> standing(np.array([0, 0, 1]), np.array([3.0, 1.0, 7.0])).tolist()
        [1.0, -1.0, 0.0]
    """
    if not len(rows):
        return np.empty(0)
    own = scores.astype(np.float64)
    counted = np.ones(len(own)) if among is None else among.astype(np.float64)
    # Added up one by one (bincount), so that a row alone and in a batch give the same.
    number = np.maximum(np.bincount(rows, counted), 1.0)
    mean = np.bincount(rows, counted * own) / number
    apart = own - mean[rows]
    deviation = np.sqrt(np.bincount(rows, counted * apart**2) / number)[rows]
    return np.divide(apart, deviation, out=np.zeros_like(apart), where=deviation > 0)
