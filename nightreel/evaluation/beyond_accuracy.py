"""Metrics beyond accuracy of a model's top 10: coverage, diversity, novelty, popularity bias, calibration and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import ItemArray
from nightreel.evaluation.metrics import genre_calibration, popularity_bias
from nightreel.evaluation.metrics.concentration import exposure, gini
from nightreel.evaluation.metrics.coverage import coverage
from nightreel.evaluation.metrics.diversity import Pairwise, diversity, genre_distance, vector_distance
from nightreel.evaluation.metrics.genre_calibration import Shares
from nightreel.evaluation.metrics.novelty import novelty
from nightreel.evaluation.metrics.ranking import repeats
from nightreel.evaluation.metrics.serendipity import serendipity
from nightreel.evaluation.test_set import TestSet

K = 10


@dataclass(frozen=True)
class CatalogueFacts:
    """Facts about the items for these metrics. distance: of two items; genres: [n_items, g] shares, g may be 0."""

    n_items: int
    distance: Pairwise
    genres: Shares

    @classmethod
    def of(
        cls, genres: Sequence[Sequence[str] | None], vectors: Callable[[], npt.NDArray[np.float32]]
    ) -> CatalogueFacts:
        """Use genres for the distance of items, or content vectors [n_items, d] if the catalogue has no genres."""
        distance = genre_distance(genres) if any(genres) else vector_distance(vectors())
        return cls(len(genres), distance, genre_calibration.genre_shares(genres))


def beyond_accuracy_metrics(
    trials: Sequence[TestSet],
    lists: Sequence[ItemArray],
    popular: Sequence[ItemArray] | None,
    catalogue: CatalogueFacts,
) -> dict[str, float]:
    """Name → value, averaged over folds by their number of users; metrics that can't be measured are omitted.

    Args:
        trials: Test set of each fold.
        lists: [n, K] of each fold.
        popular: The lists of the popularity baseline; None if it is not among the models (then no serendipity).
        catalogue: Facts about the items.
    """
    folds = [
        _fold(trial, items, None if popular is None else popular[number], catalogue)
        for number, (trial, items) in enumerate(zip(trials, lists, strict=True))
        if len(trial)
    ]
    weights = [len(trial) for trial in trials if len(trial)]
    names = [name for name in folds[0] if all(np.isfinite(fold[name]) for fold in folds)] if folds else []
    return {name: float(np.average([fold[name] for fold in folds], weights=weights)) for name in names}


def _fold(trial: TestSet, lists: ItemArray, popular: ItemArray | None, catalogue: CatalogueFacts) -> dict[str, float]:
    top, known = lists[:, :K], np.exp2(-trial.bits)
    figures = {
        f"coverage@{K}": coverage(top, catalogue.n_items),
        f"gini@{K}": gini(exposure(top, catalogue.n_items)),
        f"novelty@{K}": novelty(top, trial.bits),
        f"diversity@{K}": diversity(top, catalogue.distance),
        f"popularity_lift@{K}": popularity_bias.lift(
            popularity_bias.of_lists(top, known), popularity_bias.of_histories(trial.histories, known)
        ),
        "repeats": float(repeats(lists)),
    }
    if popular is not None:
        figures[f"serendipity@{K}"] = float(serendipity(top, popular[:, :K], trial.truth).mean())
    wanted = genre_calibration.of_histories(trial.histories, catalogue.genres)
    given = genre_calibration.of_lists(top, catalogue.genres)
    figures[f"miscalibration@{K}"] = _mean(genre_calibration.miscalibration(wanted, given))
    figures[f"genre_distance@{K}"] = _mean(genre_calibration.distance(wanted, given))
    return figures


def _mean(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
