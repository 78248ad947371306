"""Lessons are judged one after the other, and the step that a published version takes is rehearsed on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightreel.data.histories import FloatArray
from nightreel.evaluation.validation import ndcg
from nightreel.models.training.fold_task import Cuts, task_in_time
from nightreel.models.training.model_selection import choose_blend, initial_params, select_models
from nightreel.models.training.ranker_selection import ScoreBoard, Steps, fit_ranker, fit_rankers
from nightreel.models.training.training_examples import Examples, concatenated
from tests.models.training.test_model_selection import JUDGE, SMALL
from tests.support.planted import catalogue, choices, histories

USERS = np.arange(6)
IN_TIME = replace(JUDGE, quality=ndcg)  # several answers to a question
RNG = np.random.default_rng(0)


def steps(refitted: FloatArray, kept: FloatArray, stale: FloatArray) -> Steps:
    return Steps(USERS, refitted, kept, stale)


def test_the_judged_ranker_is_kept_only_where_it_is_surely_better() -> None:
    even, noise = np.full(6, 0.5), np.array([0.3, -0.2, 0.3, -0.2, 0.1, 0.0])
    assert steps(even, even, even).relearn
    assert steps(even, even + noise, even).relearn, "better by a hair, within its error"
    assert not steps(even, even + 0.1 + noise / 10, even).relearn
    assert steps(even, even - 0.2, even).relearn


def test_stale_members_are_never_chosen() -> None:
    even = np.full(6, 0.5)
    assert steps(even, even, even + 0.4).relearn, "however well all that is a lesson old did"


def test_where_nothing_could_be_rehearsed_everything_is_learned_again() -> None:
    none = ScoreBoard().steps_of("mix")
    assert none.relearn and none.figures() == {}


def test_figures_tell_the_three_ways() -> None:
    told = steps(np.full(6, 0.5), np.full(6, 0.4), np.full(6, 0.1)).figures()
    ways = ("all refitted", "ranker as judged", "all as judged", "ranker as judged, difference", "its standard error")
    assert [told[name] for name in ways] == pytest.approx([0.5, 0.4, 0.1, -0.1, 0.0])


def test_a_board_means_over_all_questions_of_what_was_judged_on_every_lesson() -> None:
    board = ScoreBoard()
    board.add(np.array([1, 2]), {"fusion": np.array([0.0, 0.2])})
    board.add(np.array([1]), {"fusion": np.array([0.4]), "mix": np.array([0.9])})
    assert board.whole().keys() == {"fusion"}, "the mix could not be learned from one lesson"
    assert board.means()["fusion"] == np.mean([0.0, 0.2, 0.4])


def cut(n: int) -> Examples:
    """n positions of three candidates."""
    columns = ("ease.relative", "popular.0")
    return Examples(columns, RNG.uniform(0, 1, (3 * n, 2)).astype(np.float32), np.tile([1, 0, 0], n).astype(np.int8), np.full(n, 3), np.arange(n))  # fmt: skip


def test_few_examples_teach_few_weights() -> None:
    found = {n: set(fit_rankers([cut(n)], ("ease",), SMALL, 1)) for n in (10, 20, 60, 100)}
    trees = {f"trees {rounds}" for rounds in SMALL.trees.num_trees}
    assert found[10] == {"fusion"} and found[20] == {"fusion", "mix"}
    assert found[60] == {"fusion", "mix", "weighted"} and found[100] == found[60] | trees


def test_one_ranker_is_learned_as_it_was_among_all() -> None:
    """Of all parts of the examples, as far as the same number of trees goes."""
    parts = [cut(70), cut(70)]
    every = fit_rankers(parts, ("ease",), SMALL, 1)
    for name, blend in every.items():
        again, rows = fit_ranker(name, parts, ("ease",), SMALL, 1), concatenated(parts).matrix
        assert (again.kind, again.columns, again.weights) == (blend.kind, blend.columns, blend.weights)
        assert not blend.model or np.array_equal(again.trees.predict(rows), blend.trees.predict(rows))
    assert fit_ranker("ease", parts, ("ease",), SMALL, 1).kind == "ease"


def test_lessons_in_time_are_judged_by_what_those_before_them_taught() -> None:
    task = task_in_time(histories(users=160), Cuts(most=4, users=40, share=0.1, new=True))
    learned = choose_blend(task, catalogue(), choices(), SMALL, IN_TIME)
    judged = [len(cut.positions) for cut in task.time_cuts[1:]]
    assert len(learned.steps.users) == sum(judged[1:]), "the first lesson teaches, the second one is judged by it alone"
    assert learned.choices.relearn == learned.steps.relearn
    assert learned.choices.ranker in learned.scores and learned.choices.ranker.split()[0] in (
        "mix", "weighted", "fusion", "trees",
    )  # fmt: skip
    assert len(learned.engine.statistics.trends[-1].table) and learned.engine.now < task.valid.targets.times.max()
    np.testing.assert_array_equal(learned.inner.statistics.first, _firsts(task.inner))


def _firsts(known: object) -> FloatArray:
    first = np.full(catalogue().n_items, np.inf)
    np.minimum.at(first, known.items, known.times)  # type: ignore[attr-defined]
    return first


def test_without_a_clock_nothing_is_learned_once_more() -> None:
    task = task_in_time(histories(), Cuts(most=2, users=10, share=0.1, new=True))
    base = initial_params(SMALL, "base", "last_event")
    learned = select_models(replace(task, in_time=False), catalogue(), SMALL, base, IN_TIME)
    assert not learned.choices.relearn
