"""The blend: the ranker that orders the candidates of all models.

It is gradient-boosted trees (LambdaMART: Burges, MSR-TR-2010-82), trained with LightGBM and evaluated without it, or a
weighted sum of features. Where there are too few examples for either, it is reciprocal rank fusion or a single model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nightreel.models.ranker.candidates import Candidates
from nightreel.models.ranker.lightgbm_numpy import Trees
from nightreel.models.top_k import ordered

FUSION = "fusion"
TREES = "trees"
WEIGHTED = "weighted"


@dataclass(frozen=True)
class Blend:
    """The ranker.

    Attributes:
        kind: `trees`, `weighted` (a sum of features), `fusion` or a model's name.
        columns: Names of the features that it was trained on.
        model: LightGBM's text form; empty unless `kind` is `trees`.
        weights: One a column, of the weighted sum, or of the sum that the trees correct; empty for none.
    """

    kind: str
    columns: tuple[str, ...] = ()
    model: str = ""
    weights: tuple[float, ...] = ()

    @cached_property
    def trees(self) -> Trees:
        """The parsed trees."""
        return Trees.read(self.model)

    def score(
        self, candidates: Candidates, members: Sequence[str], columns: tuple[str, ...], matrix: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Score candidates.

        Args:
            candidates: p candidates.
            members: Names of the models, in the order of the candidates' scores.
            columns: Names of the features.
            matrix: float32 [p, columns], the features.

        Returns:
            [p] scores.

        Raises:
            ValueError: The features are not those that the ranker was trained on.
        """
        if self.kind in (TREES, WEIGHTED):
            if columns != self.columns:
                missing = sorted(set(self.columns) ^ set(columns))
                raise ValueError(f"the ranker was trained on other features: {missing}")
            if self.kind == WEIGHTED:
                return weighted_sum(matrix, self.weights)
            scores = self.trees.predict(matrix)
            return scores + weighted_sum(matrix, self.weights) if self.weights else scores
        if self.kind == FUSION:
            return matrix[:, columns.index(FUSION)]
        return candidates.scores[:, list(members).index(self.kind)]


def weighted_sum(matrix: npt.NDArray[np.float32], weights: Sequence[float]) -> npt.NDArray[np.float32]:
    """[p] sums of features [p, columns] times weights [columns]; an unknown feature (NaN) counts as 0.

    Summed row by row, not as a matrix product, whose rounding would depend on the number of rows.
    """
    terms = np.nan_to_num(np.ascontiguousarray(matrix), nan=0.0) * np.asarray(weights, np.float32)
    return np.asarray(terms.sum(axis=1), np.float32)


def terms_of_sum(matrix: npt.NDArray[np.float32], weights: Sequence[float]) -> npt.NDArray[np.float64]:
    """[p, columns] the terms of `weighted_sum`."""
    return np.asarray(np.nan_to_num(matrix, nan=0.0).astype(np.float64) * np.asarray(weights, np.float64))


def best_of_rows(
    candidates: Candidates, scores: npt.NDArray[np.float32], n: int, k: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The k best candidates of each row.

    Args:
        candidates: p candidates of n rows.
        scores: [p].
        n: Number of rows.
        k: Length of the lists.

    Returns:
        Items and scores [n, k], best first, ties to the lower index; -1 and -inf where a row has fewer candidates.
    """
    order = ordered(candidates.rows, scores)  # items ascend in a row already
    rows = candidates.rows[order]
    position = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = order[position < k]
    items = np.full((n, k), -1, np.int32)
    values = np.full((n, k), -np.inf, np.float32)
    at = (candidates.rows[kept], position[position < k])
    items[at], values[at] = candidates.items[kept], scores[kept]
    return items, values
