"""Choosing the rating head on validation: biases first, which are the floor, then factors if they predict better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nightreel.data.dataset import Dataset
from nightreel.models.factorization.rating_model import Rated, RatingConfig, RatingModel
from nightreel.models.training.model_selection import Learned, Trial
from nightreel.settings import Ratings
from nightreel.stage import log_progress

LEAST = 100  # ratings, on either side of the split, below which an error tells nothing


def with_ratings(learned: Learned, data: Dataset, fold: str, settings: Ratings) -> Learned:
    """`learned` with a rating head in its choices where the fold holds ratings that differ, and what was tried."""
    known, asked = (Rated.of(*data.ratings(fold, (part,))) for part in ("train", "valid"))
    found = np.flatnonzero(np.bincount(known.users, minlength=data.n_users)[asked.users] > 0)
    asked = Rated(asked.users[found], asked.items[found], asked.values[found])
    if min(len(known), len(asked)) < LEAST or known.values.min() == known.values.max():
        return learned
    config, trials = choose(known, asked, data.n_users, data.n_items, settings)
    choices = learned.choices.model_copy(update={"ratings": config.model_dump()})
    return replace(learned, choices=choices, ratings=trials)


def choose(
    known: Rated, asked: Rated, n_users: int, n_items: int, settings: Ratings
) -> tuple[RatingConfig, list[Trial]]:
    """The setting with the least validation RMSE, and every one that was tried."""
    trials: list[Trial] = []

    def best(grid: Sequence[RatingConfig]) -> tuple[RatingConfig, float]:
        errors = []
        for config in grid:
            model = RatingModel.fit(known, n_users, n_items, config)
            error = model.predict(asked.users, asked.items) - asked.values
            errors.append(float(np.sqrt(np.mean(error**2))))
            trials.append({"setting": str(config), "rmse": errors[-1]})
        index = int(np.argmin(errors))
        return grid[index], errors[index]

    iterations, penalties = settings.iterations, settings.regularization
    floor, floor_error = best(
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
    richer, error = best(grid)
    log_progress(f"ratings: validation RMSE {floor_error:.4f} with biases, {error:.4f} with {richer}")
    return (richer, trials) if error < floor_error else (floor, trials)
