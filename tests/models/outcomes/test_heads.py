from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from nightreel.models.engine import Engine
from nightreel.models.outcomes.heads import Curve, Heads, OutcomeHead, standing
from nightreel.outcome_values import OUTCOMES
from tests.support.bundles import write_bundle
from tests.support.planted import engine, histories
from tests.support.valued_bundle import WANTED, heads_of


@pytest.fixture(scope="module")
def plain() -> Engine:
    return engine()


@pytest.fixture(scope="module")
def heads(plain: Engine) -> Heads:
    return heads_of(plain)


def test_a_head_says_what_lightgbm_says(heads: Heads) -> None:
    matrix = np.random.default_rng(1).random((50, 2)).astype(np.float32)
    head = heads.by_outcome["like"]
    raw = lightgbm.Booster(model_str=head.model).predict(matrix, raw_score=True)
    expected = 1 / (1 + np.exp(-(head.curve.scale * raw + head.curve.shift)))
    np.testing.assert_allclose(head.probability(matrix), expected, rtol=1e-5)
    assert np.ptp(expected) > 0.5


def test_the_worth_is_the_sum_of_values_times_probabilities(heads: Heads) -> None:
    matrix = np.array([[0.1, 0.0], [0.9, 0.0]], np.float32)
    rows, scores = np.array([0, 0]), np.array([2.0, 1.0], np.float32)
    wanted = WANTED.probability(np.array([1.0, -1.0]))
    like, dislike = (heads.by_outcome[name].probability(matrix) for name in ("like", "dislike"))
    found = heads.worth({"like": 2.0, "dislike": -4.0, "share": 9.0}, rows, scores, heads.columns, matrix)
    np.testing.assert_allclose(found, wanted + 2 * like - 4 * dislike, rtol=1e-6)
    alone = heads.worth({"wanted": 0.0, "like": 2.0}, rows, scores, heads.columns, matrix)
    np.testing.assert_allclose(alone, 2 * like, rtol=1e-6)


def test_standing_is_of_those_that_count() -> None:
    found = standing(np.array([0, 0, 0]), np.array([3.0, 1.0, 9.0]), np.array([True, True, False]))
    assert found.tolist() == [1.0, -1.0, 7.0]
    assert standing(np.array([0, 0]), np.array([5.0, 5.0])).tolist() == [0.0, 0.0]
    assert len(standing(np.empty(0, np.int64), np.empty(0))) == 0


def test_without_values_heads_change_no_byte(plain: Engine, heads: Heads) -> None:
    past = histories()
    asked = {"histories": past, "moments": past.last_times, "k": 10, "exclude": past, "hidden": None}
    ours, theirs = (each.top_k(**asked) for each in (replace(plain, heads=heads), plain))
    assert [each.tobytes() for each in ours] == [each.tobytes() for each in theirs]
    valued = replace(plain, heads=heads, outcome_values={"like": 2.0}).top_k(**asked)
    assert (valued[0] != theirs[0]).any()


def test_the_value_of_wanted_alone_keeps_the_order(plain: Engine, heads: Heads) -> None:
    past = histories()
    asked = {"histories": past, "moments": past.last_times, "k": 10, "exclude": past, "hidden": None}
    own = replace(plain, heads=heads, outcome_values={"wanted": 5.0})
    np.testing.assert_array_equal(own.top_k(**asked)[0], plain.top_k(**asked)[0])


def test_one_history_gets_the_list_that_it_gets_among_many(plain: Engine, heads: Heads) -> None:
    past, own = histories(), replace(plain, heads=heads, outcome_values={"like": 2.0, "dislike": -4.0})
    items, scores = own.top_k(past, past.last_times, 10, exclude=past, hidden=None)
    for row in range(0, len(past), 7):
        one = past.take([row])
        alone = own.top_k(one, one.last_times, 10, exclude=one, hidden=None)
        assert (alone[0][0].tobytes(), alone[1][0].tobytes()) == (items[row].tobytes(), scores[row].tobytes())


def test_likes_lift_what_is_liked(plain: Engine, heads: Heads) -> None:
    past = histories()

    def mean(value: dict[str, float]) -> float:
        own = replace(plain, heads=heads, outcome_values=value)
        found, columns, matrix = own.candidates(past, past.last_times, past)
        items, _ = own.top_k(past, past.last_times, 10, exclude=past, hidden=None)
        in_list = np.isin(found.rows * 1000 + found.items, (np.arange(len(past))[:, None] * 1000 + items).ravel())
        at = [columns.index(name) for name in heads.columns]
        return float(heads.by_outcome["like"].probability(matrix[in_list][:, at]).mean())

    assert mean({"like": 20.0}) > mean({"wanted": 1.0}) + 0.01 > mean({"dislike": 20.0}) + 0.01


def test_heads_are_written_and_read(tmp_path: Path, heads: Heads) -> None:
    write_bundle(tmp_path / "plain")
    own = Engine.open(tmp_path / "plain")
    assert own.heads is None and not own.outcome_values
    heads.write(tmp_path)
    read = Heads.read(heads.described(), tmp_path)
    assert read == heads and tuple(read.by_outcome) == ("like", "dislike")


def test_every_outcome_may_name_a_file() -> None:
    assert all(name.isidentifier() and name.islower() for name in OUTCOMES)


def test_a_curve_is_flat_far_away() -> None:
    assert Curve(1.0, 0.0).probability(np.array([-1e9, 1e9])).round(6).tolist() == [0.0, 1.0]
    assert OutcomeHead("", Curve(0.0, 0.0)).curve.scale == 0.0
