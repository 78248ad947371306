"""Choosing the rating head on validation: biases first, which are the floor, then factors if they predict better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nightreel.data.dataset import Dataset
from nightreel.models.base import Hyper, combinations
from nightreel.models.factorization.rating_model import Rated, RatingModel
from nightreel.models.training.model_selection import Learned, Trial, described
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
    hyper, trials = choose(known, asked, data.n_users, data.n_items, settings)
    choices = learned.choices.model_copy(update={"ratings": dict(hyper)})
    return replace(learned, choices=choices, ratings=trials)


def choose(known: Rated, asked: Rated, n_users: int, n_items: int, settings: Ratings) -> tuple[Hyper, list[Trial]]:
    """The setting with the least validation RMSE, and every one that was tried."""
    trials: list[Trial] = []

    def best(grid: Sequence[Hyper]) -> tuple[Hyper, float]:
        errors = []
        for hyper in grid:
            model = RatingModel.fit(known, n_users, n_items, hyper)
            error = model.predict(asked.users, asked.items) - asked.values
            errors.append(float(np.sqrt(np.mean(error**2))))
            trials.append({"setting": described(hyper), "rmse": errors[-1]})
        at = int(np.argmin(errors))
        return grid[at], errors[at]

    fixed = {"factors": (0.0,), "regularisation": settings.regularisation[:1], "sweeps": (float(settings.sweeps),)}
    floor, floor_error = best(combinations({"bias": settings.bias, **fixed}))
    tried = {"factors": [float(n) for n in settings.factors if n], "regularisation": settings.regularisation}
    if not tried["factors"]:
        return floor, trials
    richer, error = best(combinations({"bias": (floor["bias"],), **tried, "sweeps": fixed["sweeps"]}))
    log_progress(f"ratings: validation RMSE {floor_error:.4f} with biases, {error:.4f} with {described(richer)}")
    return (richer, trials) if error < floor_error else (floor, trials)
