"""Predicted ratings: biases by hand, factors on a planted taste, newcomers folded in, odd data."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.models.factorization.rating_model import MODELS, Rated, RatingConfig, RatingModel, biases
from nightreel.models.training.rating_selection import choose
from nightreel.settings.finetune import Ratings

PLAIN = {"bias": 1.0, "factors": 0.0, "regularization": 1.0, "iterations": 1.0}
RICH = {"bias": 1.0, "factors": 2.0, "regularization": 1.0, "iterations": 5.0}
USERS, ITEMS = 40, 30


@pytest.fixture(scope="module")
def planted() -> Rated:
    """Everybody rates two thirds of the items: 5 where user and item share a parity, else 1; odd users are milder."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.67)
    return Rated(users, items, np.where(users % 2 == items % 2, 5.0, 1.0 + (users % 2)))


def rmse(model: RatingModel, rated: Rated) -> dict[str, float]:
    return {
        name: float(np.sqrt(np.mean((model.predict(rated.users, rated.items, name) - rated.values) ** 2)))
        for name in MODELS
    }


def test_biases_by_hand() -> None:
    """Two users, one item, ratings 4 and 2, mean 3, λ 1: the item has b = (1 - 1) / 3 = 0 throughout, the users
    b = (1 - 0) / 2 and (-1 - 0) / 2."""
    known = Rated.of([0, 1], [0, 0], [4.0, 2.0])
    user, item = biases(known, 3, 2, 3.0, 1.0)
    assert user.tolist() == pytest.approx([1 / 2, -1 / 2, 0]) and item.tolist() == pytest.approx([0, 0])
    model = RatingModel.fit(known, 3, 2, RatingConfig.model_validate(PLAIN))
    users, items = np.array([0, 1, 2, 9]), np.array([0, 0, 0, 1])
    assert model.predict(users, items).tolist() == pytest.approx([7 / 2, 5 / 2, 3, 3])
    assert model.predict(users, items, "mean").tolist() == [3, 3, 3, 3]


def test_one_factor_by_hand() -> None:
    """Given an item factor of 2 and a residual of 3, ridge 1: the user's is 2 · 3 / (4 + 1), what it explains 12 / 5."""
    model = RatingModel(
        np.array([3.0, 0.0, 9.0, 1e9, 1.0]), np.zeros(1, np.float32), np.full((1, 1), 2, np.float32),
        np.zeros(1, np.float32), np.zeros((1, 1), np.float32),
    )  # fmt: skip
    told = model.folded_in(np.array([0]), np.array([6.0]))
    assert told.predict(np.array([0, 1]), np.array([0, 0])).tolist() == pytest.approx([3 + 12 / 5, 3])


def test_factors_find_a_taste_that_biases_cannot(planted: Rated) -> None:
    held = np.arange(len(planted)) % 5 == 0
    known, asked = (Rated(planted.users[m], planted.items[m], planted.values[m]) for m in (~held, held))
    error = rmse(RatingModel.fit(known, USERS, ITEMS, RatingConfig.model_validate(RICH)), asked)
    assert error["ratings"] < 0.4 < 1.5 < error["biases"]


def test_predictions_stay_within_the_scale_that_was_seen(planted: Rated) -> None:
    model = RatingModel.fit(planted, USERS, ITEMS, RatingConfig.model_validate(RICH))
    every = model.predict(np.repeat(np.arange(USERS + 1), ITEMS), np.tile(np.arange(ITEMS), USERS + 1))
    assert every.min() >= 1 and every.max() <= 5 and np.isfinite(every).all()


def test_somebody_folded_in_is_predicted_as_if_they_had_been_known(planted: Rated) -> None:
    model = RatingModel.fit(planted, USERS, ITEMS, RatingConfig.model_validate(RICH))
    for user in (0, 7):
        own = planted.users == user
        told = model.folded_in(planted.items[own], planted.values[own])
        everything = np.arange(ITEMS)
        np.testing.assert_allclose(
            told.predict(np.zeros(ITEMS, np.int64), everything),
            model.predict(np.full(ITEMS, user), everything),
            atol=1e-5,
        )
    nobody = model.folded_in(np.empty(0, np.int64), np.empty(0))
    np.testing.assert_array_equal(
        nobody.predict(np.zeros(3, np.int64), np.arange(3)), model.predict(np.full(3, USERS), np.arange(3))
    )


def test_fitted_twice_or_loaded_it_is_the_same(planted: Rated) -> None:
    model = RatingModel.fit(planted, USERS, ITEMS, RatingConfig.model_validate(RICH))
    again = RatingModel.load(RatingModel.fit(planted, USERS, ITEMS, RatingConfig.model_validate(RICH)).arrays())
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0, 2.0]])
def test_one_or_equal_ratings_are_predicted_as_they_are(values: list[float]) -> None:
    known = Rated.of([0] * len(values), range(len(values)), values)
    assert (
        RatingModel.fit(known, 2, 4, RatingConfig.model_validate(RICH))
        .predict(np.array([0, 1]), np.array([0, 3]))
        .tolist()
        == [values[0]] * 2
    )


def test_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no ratings"):
        RatingModel.fit(Rated.of([], [], []), 1, 1, RatingConfig.model_validate(PLAIN))


def test_factors_are_chosen_only_where_they_predict_better(planted: Rated) -> None:
    held = np.arange(len(planted)) % 5 == 0
    known, asked = (Rated(planted.users[m], planted.items[m], planted.values[m]) for m in (~held, held))
    settings = Ratings(bias=(1.0, 5.0), factors=(2,), regularization=(1.0,), iterations=4)
    chosen, trials = choose(known, asked, USERS, ITEMS, settings)
    assert chosen.factors == 2 and len(trials) == 2 + 1
    assert min(float(trial["rmse"]) for trial in trials) == trials[-1]["rmse"]
    rng = np.random.default_rng(1)
    noise = [Rated(part.users, part.items, rng.uniform(1, 5, len(part))) for part in (known, asked)]
    chosen, _ = choose(*noise, USERS, ITEMS, settings)
    assert chosen.factors == 0, "there is nothing but noise to fit"
