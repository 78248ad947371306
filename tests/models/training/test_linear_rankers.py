"""Weighted sums: a conditional logit, by hand and beside a general optimiser."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize

from nightreel.models.ranker.blend import WEIGHTED, Blend
from nightreel.models.ranker.candidates import Candidates
from nightreel.models.training.linear_rankers import RIDGE, fitted, mix, mix_columns, weighed_columns, weighted
from nightreel.models.training.training_examples import Examples

COLUMNS = ("ease.relative", "ease.rank", "popularity.relative", "slist.relative", "popular.0", "popular.1")
MEMBERS = ("ease", "popularity", "slist")


def lesson(n: int = 300, seed: int = 0) -> Examples:
    """n positions of four candidates each; one is taken with odds exp(2·ease.relative + popular.1), two where a
    position is one of twenty."""
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0, 1, (n * 4, len(COLUMNS))).astype(np.float32)
    utility = (2.0 * matrix[:, 0] + 1.0 * matrix[:, 5]).reshape(n, 4)
    chance = np.exp(utility) / np.exp(utility).sum(axis=1, keepdims=True)
    labels = np.zeros((n, 4), np.int8)
    for row in range(n):
        labels[row, rng.choice(4, 2 if row % 20 == 0 else 1, replace=False, p=chance[row])] = 1
    return Examples(COLUMNS, matrix, labels.ravel(), np.full(n, 4), np.arange(n))


def loss_by_hand(data: Examples, columns: tuple[str, ...], weights: npt.NDArray[np.float64]) -> float:
    """Mean over positions of -log(the chance of what was taken), the mean of these where more was; and the ridge."""
    total, start = 0.0, 0
    matrix = np.nan_to_num(data.matrix[:, [data.columns.index(name) for name in columns]].astype(float))
    for size in data.sizes:
        rows = slice(start, start + size)
        odds = np.exp(matrix[rows] @ weights)
        taken = np.flatnonzero(data.labels[rows])
        total -= np.mean([np.log(odds[one] / odds.sum()) for one in taken])
        start += size
    return float(total / len(data.sizes) + RIDGE * (weights**2).sum())


def test_the_likelihood_is_that_of_hand() -> None:
    """Two candidates, one feature of 1 and 0: the chance is 1 / (1 + exp(-w))."""
    data = Examples(("a.relative",), np.array([[1], [0]], np.float32), np.array([1, 0], np.int8), np.array([2]), np.array([0]))  # fmt: skip
    blend, loss = fitted(data, ("a.relative",))
    w = blend.weights[0]
    assert loss == pytest.approx(np.log(1 + np.exp(-w)) + RIDGE * w * w, abs=1e-6)
    assert 1 / (1 + np.exp(w)) == pytest.approx(2 * RIDGE * w, abs=1e-4), "its slope is zero there"


def test_the_weights_are_those_of_a_general_optimiser() -> None:
    data = lesson()
    columns = weighed_columns(COLUMNS, MEMBERS)
    assert columns == ("ease.relative", "slist.relative", "popular.0", "popular.1"), "popularity is there as trends"
    blend = weighted(data, MEMBERS)
    assert (blend.kind, blend.columns, blend.model) == (WEIGHTED, columns, "")
    theirs = minimize(
        lambda weights: loss_by_hand(data, columns, weights), np.ones(4), method="L-BFGS-B", bounds=[(0, None)] * 4
    )
    assert np.array(blend.weights) == pytest.approx(theirs.x, abs=0.02)
    assert blend.weights[0] == pytest.approx(2.0, abs=0.5) and blend.weights[3] == pytest.approx(1.0, abs=0.5)
    assert fitted(data, columns)[1] == pytest.approx(theirs.fun, abs=1e-5)


def test_a_mix_is_the_likeliest_pair_of_a_members_score_and_a_trend() -> None:
    data = lesson()
    pairs = mix_columns(COLUMNS, MEMBERS)
    assert len(pairs) == 4 and ("popularity.relative", "popular.0") not in pairs
    found = mix(data, MEMBERS)
    losses = {pair: loss_by_hand(data, pair, np.array(fitted(data, pair)[0].weights)) for pair in pairs}
    assert found.columns == min(losses, key=lambda pair: losses[pair]) == ("ease.relative", "popular.1")


def test_what_works_against_what_is_taken_gets_no_weight() -> None:
    data = lesson()
    data.matrix[:, 4] = data.labels == 0
    assert dict(zip(*[(found := weighted(data, MEMBERS)).columns, found.weights], strict=True))["popular.0"] == 0.0


def test_more_candidates_of_a_position_do_not_make_it_count_more() -> None:
    """Of one feature the taken candidate has more; the same position twice with equal odds changes nothing."""
    data = lesson(100)
    twice = Examples(
        COLUMNS, np.concatenate([data.matrix] * 2), np.concatenate([data.labels] * 2),
        np.concatenate([data.sizes] * 2), np.concatenate([data.users] * 2),
    )  # fmt: skip
    assert weighted(twice, MEMBERS).weights == pytest.approx(weighted(data, MEMBERS).weights, abs=1e-3)


def test_a_sum_scores_unknown_features_as_nothing_and_refuses_others() -> None:
    blend = Blend(WEIGHTED, ("a", "b"), "", (2.0, 0.5))
    nobody = Candidates(*(np.zeros(0, np.int32),) * 2, *(np.zeros((0, 0), np.float32),) * 3)
    told = blend.score(nobody, (), ("a", "b"), np.array([[1, 2], [np.nan, 4], [3, np.nan]], np.float32))
    assert told.tolist() == [3.0, 2.0, 6.0]
    with pytest.raises(ValueError, match="trained on other features"):
        blend.score(nobody, (), ("a", "c"), np.zeros((1, 2), np.float32))
