"""RMSE and MAE of predicted ratings, against two baselines: the mean, and the biases alone.

Uses the test ratings of users with earlier ratings; the bootstrap resamples users, not ratings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.metrics.bootstrap import interval, replicate_totals
from nightreel.evaluation.model_scores import by_user
from nightreel.models.factorization.rating_model import MODELS, SHOWN, Rated, RatingModel, RatingName

KNOWN = ("train", "valid")
FLOOR: RatingName = "biases"  # the baseline that the rating model must beat
Answer = Callable[[IntArray, IntArray, RatingName], FloatArray]
"""(users [p], items [p], model) → [p] predicted ratings."""


def asked_ratings(data: Dataset, fold: str) -> tuple[Rated, int]:
    """The fold's test ratings of users with earlier ratings, without repeated ratings of an item; and the number of
    users with test ratings and no earlier ones."""
    known, test = Rated.of(*data.ratings(fold, KNOWN)), Rated.of(*data.ratings(fold, ("test",)))
    met = np.bincount(known.users, minlength=data.n_users) > 0
    again = np.isin(test.users * data.n_items + test.items, known.users * data.n_items + known.items)
    at = np.flatnonzero(met[test.users] & ~again)
    return Rated(test.users[at], test.items[at], test.values[at]), len(np.unique(test.users[~met[test.users]]))


def rating_errors(
    data: Dataset, heads: Sequence[tuple[str, RatingModel | None]], replicates: int, seed: int
) -> dict[str, Any]:
    """The errors on a protocol, pooled over its folds, or {"not measured": reason}.

    Args:
        data: The validated data.
        heads: Each fold and its bundle's rating model.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
    """
    asked = [(*asked_ratings(data, fold), head) for fold, head in heads]
    if not len(data.ratings(None)[0]):
        return {"not measured": "no ratings"}
    if any(head is None for *_, head in asked):
        return {"not measured": "too few ratings to select a rating model, or all ratings are equal"}
    # A bundle has its users in the order of their ids.
    pairs = [(rated, head.with_users(data.bundle_rows).predict) for rated, _, head in asked if head is not None]
    if not sum(len(rated) for rated, _ in pairs):
        return {"not measured": "no test ratings of users with earlier ratings"}
    return {
        **rating_error(pairs, replicates, np.random.default_rng(seed)),
        "cold_users": sum(cold for _, cold, _ in asked),
    }


def rating_error(pairs: Sequence[tuple[Rated, Answer]], replicates: int, rng: np.random.Generator) -> dict[str, Any]:
    """The errors as JSON. models: model → rmse and mae as intervals; against: RMSE of `ratings` minus that of FLOOR."""
    users = np.concatenate([rated.users for rated, _ in pairs])
    errors = np.column_stack(
        [
            np.concatenate([answer(rated.users, rated.items, model) - rated.values for rated, answer in pairs])
            for model in MODELS
        ]
    )
    sums, counts = by_user(users, np.column_stack([errors**2, np.abs(errors)]))
    columns = np.column_stack([sums, counts])
    points, drawn = _means(columns.sum(axis=0)[None, :]), _means(replicate_totals(columns, replicates, rng))
    found = [asdict(interval(float(points[0, n]), drawn[:, n])) for n in range(2 * len(MODELS))]
    models = {model: {"rmse": found[n], "mae": found[n + len(MODELS)]} for n, model in enumerate(MODELS)}
    head, floor = MODELS.index("ratings"), MODELS.index(FLOOR)
    against = interval(float(points[0, head] - points[0, floor]), drawn[:, head] - drawn[:, floor])
    return {"ratings": len(users), "users": len(counts), "models": models, "against": asdict(against)}


def _means(totals: FloatArray) -> FloatArray:
    """[r, 2m] RMSE and MAE from totals [r, 2m + 1], whose last column is the count."""
    means = totals[:, :-1] / totals[:, -1:]
    half = means.shape[1] // 2
    return np.column_stack([np.sqrt(means[:, :half]), means[:, half:]])


def rating_metrics(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Protocol → ratings, users, rmse and mae by model, for `dvc metrics`."""
    small: dict[str, Any] = {}
    for name, own in found.items():
        small[name] = {"ratings": own.get("ratings", 0), "users": own.get("users", 0)}
        for error in ("rmse", "mae") if "models" in own else ():
            small[name][error] = {model: round(each[error]["point"], 6) for model, each in own["models"].items()}
    return small


def rating_lines(name: str, found: Mapping[str, Any]) -> str:
    """Format a protocol's errors for the terminal."""
    if "models" not in found:
        return f"rating prediction ({name}) not measured: {found['not measured']}"
    rows = [
        f"rating prediction ({name}): {found['ratings']:,} ratings by {found['users']:,} users; RMSE, 95% interval, MAE"
    ]
    for model, each in found["models"].items():
        error, mae = each["rmse"], each["mae"]["point"]
        bounds = f"{error['low']:.4f}–{error['high']:.4f}"
        rows.append(f"  {SHOWN[model]:<18}{error['point']:.4f}  {bounds}  {mae:.4f}")
    against = "{point:+.4f} [{low:+.4f}, {high:+.4f}]".format_map(found["against"])
    rows.append(f"  RMSE of the rating model minus that of its biases alone: {against}")
    return "\n".join(rows)
