"""Which of several rankers is taken, by hand: one standard error, users as clusters, popularity only if surely worse."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.data.histories import FloatArray
from nightreel.models.training.one_standard_error import (
    SURE,
    PositionScores,
    clearly_better,
    difference,
    simplest,
    surely_better,
    surely_worse,
)
from nightreel.models.training.ranker_selection import ScoreBoard, chosen_ranker

EACH = np.arange(4)


def test_the_error_is_that_of_the_mean_of_paired_differences() -> None:
    """Gaps 0.1, 0.3, -0.1, 0.1: a mean of 0.1, a standard deviation of sqrt(0.08 / 3), over the root of four."""
    gap, error = difference(EACH, np.array([0.2, 0.5, 0.0, 0.3]), np.array([0.1, 0.2, 0.1, 0.2]))
    assert gap == pytest.approx(0.1) and error == pytest.approx(np.sqrt(0.08 / 3 / 4))


def test_one_users_questions_are_one_cluster() -> None:
    """Two users with two questions each, all alike within a user: as much as one question of each tells."""
    ours = np.array([0.4, 0.4, 0.0, 0.0])
    gap, error = difference(np.array([7, 7, 9, 9]), ours, np.zeros(4))
    once = difference(np.array([7, 9]), ours[[0, 2]], np.zeros(2))
    assert gap == pytest.approx(0.2) and (gap, error) == pytest.approx(once)
    assert error > difference(EACH, ours, np.zeros(4))[1]


def test_nobody_tells_nothing() -> None:
    none = np.empty(0)
    assert difference(np.empty(0, np.int64), none, none) == (0.0, 0.0)
    assert not surely_worse(np.empty(0, np.int64), none, none)


def test_the_simplest_within_one_standard_error_of_the_best() -> None:
    best = np.array([0.5, 0.7, 0.3, 0.5])
    near = best - np.array([0.0, 0.2, -0.1, 0.0])  # 0.025 behind, with an error of 0.063
    far = best - np.array([0.1, 0.2, 0.1, 0.15])  # 0.1375 behind, with an error of 0.024
    scores = {"far": far, "near": near, "best": best}
    assert simplest(EACH, scores, ["far", "near", "best"]) == "near"
    assert simplest(EACH, scores, ["far", "best", "near"]) == "best"
    assert simplest(EACH, scores, ["best", "near"]) == "best"


def test_surely_is_at_ninety_five_per_cent_of_one_side() -> None:
    ours, wide = np.zeros(4), np.array([0.4, 0.0, 0.2, 0.0])
    gap, error = difference(EACH, ours, wide)
    assert gap + SURE * error < 0 or not surely_worse(EACH, ours, wide)
    assert surely_worse(EACH, ours, np.array([0.2, 0.1, 0.2, 0.1])) and surely_better(EACH, ours + 0.1, ours)
    assert not surely_worse(EACH, ours, np.array([0.5, -0.2, 0.1, 0.0]))


def board(**scores: list[float]) -> ScoreBoard:
    found = ScoreBoard()
    found.add(EACH, {name.replace("_", " "): np.array(values) for name, values in scores.items()})
    return found


MEMBERS = ("ease", "popularity")


def test_in_time_the_simplest_blend_near_the_best_and_by_last_events_the_best() -> None:
    told = board(
        mix=[0.5, 0.5, 0.4, 0.5], weighted=[0.5, 0.7, 0.3, 0.5], fusion=[0.1] * 4, trees_80=[0.5, 0.7, 0.4, 0.5],
        ease=[0.9] * 4, popularity=[0.2] * 4,
    )  # fmt: skip
    assert chosen_ranker(told, MEMBERS, in_time=True) == "mix"
    assert chosen_ranker(told, MEMBERS, in_time=False) == "trees 80"


def test_by_last_events_near_ties_fall_to_the_simpler_side() -> None:
    """One list of a thousand in which two items are swapped decides nothing, nor does a quarter of the error."""
    rng = np.random.default_rng(0)
    users, fewer = np.arange(1000), rng.uniform(0, 0.6, 1000)
    noise = rng.normal(0, 0.1, 1000)
    noise *= 0.1 / noise.std()
    noise -= noise.mean()
    swapped = fewer.copy()
    swapped[7] += 0.3

    def chosen(more: FloatArray) -> str:
        found = ScoreBoard()
        found.add(users, {"fusion": fewer - 0.1, "trees 40": fewer, "trees 80": more, "ease": fewer - 0.2})
        return chosen_ranker(found, ("ease",), in_time=False)

    error = 0.1 / np.sqrt(1000)
    assert chosen(swapped) == chosen(fewer + noise + 0.2 * error) == chosen(fewer) == "trees 40"
    assert chosen(fewer + noise + 2 * error) == "trees 80"
    near, far = (PositionScores(users, fewer + noise + times * error) for times in (0.2, 2.0))
    base = PositionScores(users, fewer)
    assert clearly_better(far, base) and not clearly_better(near, base) and not clearly_better(base, far)


def test_of_two_numbers_of_trees_the_fewer_are_the_simpler() -> None:
    told = board(trees_160=[0.5, 0.7, 0.3, 0.6], trees_20=[0.5, 0.7, 0.4, 0.5], fusion=[0.0] * 4, ease=[0.0] * 4)
    assert chosen_ranker(told, MEMBERS, in_time=True) == "trees 20"


def test_popularity_is_taken_only_where_the_choice_is_surely_worse() -> None:
    near = board(mix=[0.2, 0.4, 0.1, 0.3], fusion=[0.0] * 4, popularity=[0.3, 0.2, 0.4, 0.2])
    far = board(mix=[0.2, 0.4, 0.1, 0.3], fusion=[0.0] * 4, popularity=[0.4, 0.6, 0.4, 0.5])
    assert chosen_ranker(near, MEMBERS, in_time=True) == "mix"
    assert chosen_ranker(far, MEMBERS, in_time=True) == "popularity"


def test_without_a_judged_lesson_ranks_are_fused() -> None:
    assert chosen_ranker(ScoreBoard(), MEMBERS, in_time=True) == "fusion"
    assert chosen_ranker(ScoreBoard(), MEMBERS, in_time=False) == "fusion"


def test_with_too_few_examples_one_member_may_be_taken_for_fusion() -> None:
    told = board(fusion=[0.1, 0.2, 0.1, 0.1], ease=[0.5] * 4, popularity=[0.0] * 4)
    assert chosen_ranker(told, MEMBERS, in_time=True) == "ease"
