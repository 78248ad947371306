"""Found again and found for the first time, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.segments.repeat_consumption import repeat_consumption
from nightreel.evaluation.test_set import build_test_set
from tests.evaluation.rankers import Answer
from tests.evaluation.test_test_set import Told
from tests.support.settings import settings

TOLD = Told(
    5, exclude_seen=False,
    positive_train=[[0, 1], [2, 0], [3]], positive_valid=[[], [], []], positive_test=[[1], [1, 2], [4]],
    seen_train=[[0, 1], [2, 0], [3]], seen_valid=[[], [], []],
)  # fmt: skip


class Listed:
    """Answers the allowed items in index order."""

    models = ("blend", "popularity")

    def recommend_many(self, histories: Histories, *, exclude: Histories | None, k: int, **rest: Any) -> Answer:
        lists = np.full((len(histories), k), -1, np.int32)
        for row in range(len(histories)):
            allowed = np.setdiff1d(np.arange(5), [] if exclude is None else exclude[row][0])[:k]
            lists[row, : len(allowed)] = allowed
        return Answer(lists)


def found(cold_users: int = 100) -> dict[tuple[str, str], tuple[int, float]]:
    own = settings(evaluate={"cold_users": cold_users}).evaluate
    rows = repeat_consumption(build_test_set(TOLD, "fold", None), Listed(), "blend", own, 0)
    return {(row.what, row.model): (row.users, row.ndcg.point) for row in rows}


def test_what_comes_again_and_what_is_new_are_two_figures() -> None:
    """Item 1 stands second for user 0, item 2 third for user 1. Without what they took, user 1's item 1 comes first and
    user 2's item 4 last of four."""
    again = (1 / math.log2(3) + 1 / math.log2(4)) / 2
    new = (1 + 1 / math.log2(5)) / 2
    assert found() == {
        ("user, an item taken before", "blend"): (2, pytest.approx(again)),
        ("user, an item taken before", "popularity"): (2, pytest.approx(again)),
        ("user, a new item, without those taken", "blend"): (2, pytest.approx(new)),
        ("user, a new item, without those taken", "popularity"): (2, pytest.approx(new)),
    }


def test_of_many_users_some_are_asked() -> None:
    assert {users for users, _ in found(cold_users=1).values()} == {1}


def test_nothing_where_seen_items_are_left_out() -> None:
    question = build_test_set(TOLD, "fold", None)
    left_out = replace(question, exclude=question.histories)
    assert repeat_consumption(left_out, Listed(), "blend", settings().evaluate, 0) == []
