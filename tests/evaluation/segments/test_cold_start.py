"""What newcomers get: users with their last events alone, and items that training never named."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.segments.cold_start import cold_start, last_events, lines, new_items
from nightreel.evaluation.test_set import TestSet, build_test_set
from tests.evaluation.rankers import Successors, planted
from tests.evaluation.test_test_set import Told
from tests.support.settings import settings


def question(told: Told) -> tuple[TestSet, Histories]:
    return build_test_set(told, "fold", None), told.positives("fold", ("train", "valid"))


def test_last_events() -> None:
    rows = Histories.from_rows([([1, 2, 3], [1.0, 2.0, 3.0]), ([4], [1.0]), ([], [])])
    kept = last_events(rows, 2)
    assert [kept[row][0].tolist() for row in range(3)] == [[2, 3], [4], []]


def test_what_a_user_did_before_is_unknown_and_still_excluded(tmp_path: Path) -> None:
    data = planted(tmp_path, users=40, events=480)
    asked, trained = build_test_set(data, "leave_last_out", None), data.positives("leave_last_out", ("train", "valid"))
    ranker = Successors(trained, data.n_items)
    rows = cold_start(asked, ranker, "blend", trained, np.zeros((data.n_items, 2), np.float32), settings().evaluate, 0)
    found = {(row.what, row.model): row.ndcg.point for row in rows}
    nobody, one = found["user, 0 events known", "blend"], found["user, 1 event known", "blend"]
    assert nobody == found["user, 0 events known", "popularity"], "a visitor gets what is popular"
    assert one > nobody, "the last item tells this ranker all that it can use"
    assert one == found["user, 5 events known", "blend"]
    assert "new items are not measured" in lines(rows) and all(row.users == len(asked) for row in rows)


def test_of_many_users_some_are_asked(tmp_path: Path) -> None:
    data = planted(tmp_path, users=40, events=480)
    asked, trained = build_test_set(data, "leave_last_out", None), data.positives("leave_last_out", ("train", "valid"))
    few = settings(evaluate={"cold_users": 10}).evaluate
    rows = cold_start(
        asked, Successors(trained, data.n_items), "blend", trained, np.zeros((data.n_items, 2), np.float32), few, 0
    )
    assert {row.users for row in rows} == {10}


def test_new_items_are_ranked_among_themselves() -> None:
    """Item 0 is known, 1 has no text; of 2, 3 and 4 user 0 takes the one near item 0, user 1 the farthest."""
    told = Told(
        5,
        positive_train=[[0], [0]], positive_valid=[[], []], positive_test=[[3], [4]],
        seen_train=[[0], [0]], seen_valid=[[], []],
    )  # fmt: skip
    vectors = np.array([[1, 0], [0, 0], [0.6, 0.8], [0.9, 0.1], [0, 1]], np.float32)
    rows = new_items(*question(told), vectors, 100, np.random.default_rng(0))
    content, control = rows
    assert (content.model, control.model, content.users) == ("content", "same for all", 2)
    expected = (1 + 1 / math.log2(4)) / 2  # first for user 0, third for user 1
    assert content.ndcg.point == pytest.approx(expected)
    assert control.ndcg == content.ndcg, "everybody took item 0 alone, so the control asks the same"


def test_an_item_that_training_names_is_not_new() -> None:
    told = Told(
        3, positive_train=[[0], [1]], positive_valid=[[], []], positive_test=[[1], [0]],
        seen_train=[[0], [1]], seen_valid=[[], []],
    )  # fmt: skip
    assert new_items(*question(told), np.eye(3, dtype=np.float32), 100, np.random.default_rng(0)) == []


def test_a_mean_and_its_interval() -> None:
    values = np.array([0.0, 1.0] * 50)
    found = mean_interval(values, 2000, np.random.default_rng(0))
    assert found.point == 0.5
    assert found.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert found.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)
