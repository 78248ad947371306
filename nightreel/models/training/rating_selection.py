"""Selection of the rating model on validation: biases first, then factors if they lower the RMSE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray
from nightreel.models.factorization.rating_model import Rated, RatingConfig, RatingModel
from nightreel.models.training.model_selection import Learned, Trial
from nightreel.models.training.one_standard_error import NEAR, simplest
from nightreel.settings.finetune import Ratings
from nightreel.stage import log_progress

LEAST = 100  # ratings in train and in validation; with fewer, an RMSE is too noisy to select by


def with_ratings(learned: Learned, data: Dataset, fold: str, settings: Ratings) -> Learned:
    """Add a rating model to the selection where the fold contains enough ratings that are not all equal."""
    known, valid = (Rated.of(*data.ratings(fold, (part,))) for part in ("train", "valid"))
    rated_before = np.flatnonzero(np.bincount(known.users, minlength=data.n_users)[valid.users] > 0)
    valid = Rated(valid.users[rated_before], valid.items[rated_before], valid.values[rated_before])
    if min(len(known), len(valid)) < LEAST or known.values.min() == known.values.max():
        return learned
    config, trials = choose(known, valid, data.n_users, data.n_items, settings)
    choices = learned.choices.model_copy(update={"ratings": config.model_dump()})
    return replace(learned, choices=choices, ratings=trials)


def choose(
    known: Rated, valid: Rated, n_users: int, n_items: int, settings: Ratings
) -> tuple[RatingConfig, list[Trial]]:
    """The setting with the lowest validation RMSE (of nearly equal ones the first), and a row for each that was
    tried."""
    trials: list[Trial] = []
    scores: dict[str, FloatArray] = {}

    def best(grid: Sequence[RatingConfig]) -> RatingConfig:
        for config in grid:
            if str(config) in scores:
                continue
            model = RatingModel.fit(known, n_users, n_items, config)
            scores[str(config)] = -((model.predict(valid.users, valid.items) - valid.values) ** 2)
            trials.append({"setting": str(config), "rmse": _rmse(scores[str(config)])})
        found = simplest(valid.users, scores, [str(config) for config in grid], NEAR)
        return next(config for config in grid if str(config) == found)

    iterations, penalties = settings.iterations, settings.regularization
    floor = best(
        [
            RatingConfig(bias=bias, factors=0, regularization=penalties[0], iterations=iterations)
            for bias in settings.bias
        ]
    )
    grid = [
        RatingConfig(bias=floor.bias, factors=factors, regularization=penalty, iterations=iterations)
        for factors in settings.factors
        if factors
        for penalty in penalties
    ]
    if not grid:
        return floor, trials
    richer = best(grid)
    log_progress(
        f"ratings: validation RMSE {_rmse(scores[str(floor)]):.4f} with biases only, "
        f"{_rmse(scores[str(richer)]):.4f} with {richer}"
    )
    return best([floor, richer]), trials


def _rmse(scores: FloatArray) -> float:
    return float(np.sqrt(-scores.mean()))
