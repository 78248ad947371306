"""Behavioural tests tell a model that makes sense from one that doesn't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nightreel.data.histories import FloatArray, Histories
from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest, _turned, behavioral_tests, by_chance
from nightreel.evaluation.gate.gate_rules import sound_behaviour
from nightreel.evaluation.metrics.overlap import overlap
from nightreel.evaluation.test_set import Ranker, TestSet, build_test_set
from tests.evaluation.rankers import Answer, Successors, planted

GENRES = [["space"] if n % 2 == 0 else ["love"] for n in range(80)]


class Follower:
    """Items of the genre that most of the history has; its opposite with `sense=-1`."""

    models = ("blend",)

    def __init__(self, sense: int = 1) -> None:
        self.sense = sense

    def recommend_many(
        self,
        histories: Histories,
        *,
        moments: FloatArray | None,
        exclude: Histories | None,
        k: int,
        model: str = "blend",
    ) -> Answer:
        odd = np.bincount(histories.rows, histories.items % 2, len(histories)) > histories.lengths / 2
        wanted = odd if self.sense > 0 else ~odd
        return Answer((wanted[:, None] + 2 * np.arange(k)).astype(np.int32))


class Restless(Follower):
    """Lists that hang on the first event alone."""

    def recommend_many(self, histories: Histories, *, k: int, **_: object) -> Answer:  # type: ignore[override]
        first = histories.items[histories.indptr[:-1]]
        return Answer(((first[:, None] * 13 + np.arange(k)) % 80).astype(np.int32))


@pytest.fixture
def question(tmp_path: Path) -> TestSet:
    return build_test_set(planted(tmp_path), "leave_last_out", None)


def told(question: TestSet, ranker: Ranker) -> dict[str, BehavioralTest]:
    return {each.name: each for each in behavioral_tests(question, ranker, "blend", GENRES, steady=0.5)}


def test_a_model_that_makes_sense_passes(question: TestSet, tmp_path: Path) -> None:
    found = told(question, Follower())
    assert found["lists follow a genre preference"].figure == 1
    assert found["replacing one old event hardly changes the list"].figure == pytest.approx(1, abs=0.05)
    assert not any(each.failed for each in found.values())
    data = planted(tmp_path)
    real = told(question, Successors(data.positives("leave_last_out", ("train", "valid")), data.n_items))
    assert not any(each.failed for each in real.values())
    assert sound_behaviour(list(real.values())).state == "passed"


def test_a_model_that_gives_everybody_the_same_gives_fans_no_less_than_others(
    question: TestSet, tmp_path: Path
) -> None:
    data = planted(tmp_path)
    ranker = Successors(data.positives("leave_last_out", ("train", "valid")), data.n_items)
    found = behavioral_tests(question, ranker, "popularity", GENRES, steady=0.5)[0]
    assert (found.figure, found.failed) == (0, False)


def test_a_model_that_gives_fans_the_opposite_fails(question: TestSet) -> None:
    found = told(question, Follower(sense=-1))
    assert found["lists follow a genre preference"].figure == -1
    rule = sound_behaviour(list(found.values()))
    assert (rule.state, rule.point) == ("failed", 1)
    assert "lists follow a genre preference" in rule.text
    assert "irrelevant" not in rule.text  # what passed is not blamed


def test_less_than_others_by_chance_is_no_fault() -> None:
    gains = [-0.1, 0.1, -0.05, 0.0, 0.02, -0.03]
    chance = by_chance(gains)
    assert not BehavioralTest("fans", float(np.mean(gains)), -chance, 6, "").failed
    surely = [gain / 10 - 0.05 for gain in gains]
    assert BehavioralTest("fans", float(np.mean(surely)), -by_chance(surely), 6, "").failed


def test_a_model_that_one_old_event_turns_over_fails(question: TestSet) -> None:
    assert told(question, Restless())["replacing one old event hardly changes the list"].failed


def test_what_can_not_be_tried_is_said_and_stops_nothing(question: TestSet) -> None:
    nobody = question.take(np.empty(0, np.int64))
    found = behavioral_tests(nobody, Follower(), "blend", [None] * 80, steady=0.5)
    assert [each.figure for each in found] == [None] * 3
    assert sound_behaviour(found).state == "not measured"


def test_the_order_within_an_instant_is_turned_and_nothing_else() -> None:
    histories = Histories.from_rows([([1, 2, 3, 4], [1.0, 1.0, 2.0, 2.0]), ([5, 6], [1.0, 2.0])])
    assert _turned(histories).items.tolist() == [2, 1, 4, 3, 5, 6]


def test_ties_are_told_only(question: TestSet) -> None:
    tied = replace(question, histories=replace(question.histories, times=np.zeros(len(question.histories.times))))
    found = told(tied, Restless())["order of simultaneous events"]
    assert found.figure is not None and found.figure < 1
    assert (found.bound, found.failed) == (None, False)


def test_overlap_by_hand() -> None:
    first, second = np.array([[1, 2, 3], [4, -1, -1], [-1, -1, -1]]), np.array([[3, 2, 9], [5, 4, -1], [1, 2, 3]])
    assert overlap(first, second).tolist() == pytest.approx([2 / 3, 1, 1])
