"""RMSE and MAE of predicted ratings against fractions worked out by hand, and what is asked at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.rating_error import asked_ratings, rating_error, rating_errors, rating_lines, rating_metrics
from nightreel.models.factorization.rating_model import Rated, RatingConfig, RatingModel

HYPER = {"bias": 1.0, "factors": 0.0, "regularization": 1.0, "iterations": 1.0}
OFFSETS = {"ratings": 0.0, "biases": 1.0, "mean": 2.0}


@dataclass
class Told:
    """Ratings by part: [(user, item, value), …]; what a trial of ratings needs of a Dataset."""

    parts: dict[str, list[tuple[int, int, float]]]
    n_users: int = 4
    n_items: int = 6

    @property
    def bundle_rows(self) -> IntArray:
        """In a bundle users are in the order of their ids: here in reverse."""
        return np.arange(self.n_users)[::-1]

    def ratings(self, fold: str | None, parts: tuple[str, ...] = ()) -> tuple[Any, ...]:
        rows = [row for part in parts or self.parts for row in self.parts.get(part, [])]
        user, item, value = (np.array(cells) for cells in zip(*rows, strict=True)) if rows else ([], [], [])
        return user, item, value, np.zeros(len(rows))


def dataset(**parts: list[tuple[int, int, float]]) -> Dataset:
    return cast("Dataset", Told(parts))


def off_by(users: IntArray, items: IntArray, model: str) -> FloatArray:
    """Says 3 to everything, and more by what the model is worse."""
    return np.full(len(items), 3.0 + OFFSETS[model])


def test_errors_by_hand() -> None:
    """Ratings 3 and 4 of user 0, 1 of user 1. Always 3: errors 0, -1, 2; always 4: 1, 0, 3; always 5: 2, 1, 4."""
    rated = Rated.of([0, 0, 1], [0, 1, 2], [3.0, 4.0, 1.0])
    found = rating_error([(rated, off_by)], 200, np.random.default_rng(0))
    assert (found["ratings"], found["users"]) == (3, 2)
    errors = {model: (each["rmse"]["point"], each["mae"]["point"]) for model, each in found["models"].items()}
    assert errors["ratings"] == pytest.approx((math.sqrt(5 / 3), 3 / 3))
    assert errors["biases"] == pytest.approx((math.sqrt(10 / 3), 4 / 3))
    assert errors["mean"] == pytest.approx((math.sqrt(21 / 3), 7 / 3))
    assert found["against"]["point"] == pytest.approx(math.sqrt(5 / 3) - math.sqrt(10 / 3))


def test_intervals_are_those_of_drawing_users() -> None:
    """Samples of two users are user 0 twice, both, or user 1 twice: RMSE √(1/2), √(5/3) or 2."""
    rated = Rated.of([0, 0, 1], [0, 1, 2], [3.0, 4.0, 1.0])
    found = rating_error([(rated, off_by)], 400, np.random.default_rng(0))["models"]["ratings"]["rmse"]
    assert (found["low"], found["high"]) == pytest.approx((math.sqrt(1 / 2), 2.0))


def test_folds_are_pooled_and_a_user_in_two_is_one() -> None:
    first, second = Rated.of([0], [0], [3.0]), Rated.of([0, 1], [1, 2], [4.0, 1.0])
    pooled = rating_error([(first, off_by), (second, off_by)], 200, np.random.default_rng(0))
    whole = rating_error([(Rated.of([0, 0, 1], [0, 1, 2], [3.0, 4.0, 1.0]), off_by)], 200, np.random.default_rng(0))
    assert pooled == whole


def test_who_rated_nothing_before_and_what_was_rated_before_are_not_asked() -> None:
    data = dataset(train=[(0, 0, 5.0)], valid=[(1, 1, 4.0)], test=[(0, 2, 3.0), (0, 0, 1.0), (1, 3, 2.0), (2, 4, 1.0)])
    asked, cold = asked_ratings(data, "fold")
    assert list(zip(asked.users.tolist(), asked.items.tolist(), asked.values.tolist(), strict=True)) == [
        (0, 2, 3.0), (1, 3, 2.0),
    ]  # fmt: skip
    assert cold == 1


def test_a_head_is_asked_for_its_predictions() -> None:
    """Known: 5 and 4, mean 9/2; user 0 and item 0 both above it. Asked: an item without ratings, by user 0."""
    data = dataset(train=[(0, 0, 5.0), (1, 1, 4.0)], test=[(0, 2, 3.0)])
    head = RatingModel.fit(Rated.of(*data.ratings("fold", ("train",))), 4, 6, RatingConfig.model_validate(HYPER))
    found = rating_errors(data, [("fold", head.with_users(data.bundle_rows))], 200, 0)
    assert found["models"]["mean"]["rmse"]["point"] == pytest.approx(3 / 2)
    assert found["models"]["biases"] == found["models"]["ratings"], "no factors: the head is its biases"
    assert found["models"]["biases"]["rmse"]["point"] > 3 / 2, "user 0 rates higher than others"
    assert (found["against"]["point"], found["cold_users"]) == (0, 0)
    small = rating_metrics({"fold": found})["fold"]
    assert (small["ratings"], small["users"], small["rmse"]["mean"]) == (1, 1, 1.5)
    assert "1 ratings by 1 users" in rating_lines("fold", found)


@pytest.mark.parametrize(
    ("parts", "head", "reason"),
    [
        ({"train": []}, None, "no ratings"),
        ({"train": [(0, 0, 5.0)], "test": [(0, 1, 5.0)]}, None, "too few ratings"),
        ({"train": [(0, 0, 5.0)], "test": [(1, 1, 5.0)]}, RatingModel.fit(Rated.of([0], [0], [5.0]), 4, 6, RatingConfig.model_validate(HYPER)), "no test ratings"),
    ],
)  # fmt: skip
def test_what_is_not_measured_says_why(parts: dict[str, Any], head: RatingModel | None, reason: str) -> None:
    found = rating_errors(dataset(**parts), [("fold", head)], 200, 0)
    assert reason in found["not measured"]
    assert "not measured: " + reason in rating_lines("fold", found)
    assert rating_metrics({"fold": found}) == {"fold": {"ratings": 0, "users": 0}}
