"""One medium from the history of another, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.segments import cross_domain as module
from nightreel.evaluation.segments.cross_domain import cross_domain, narrowed
from nightreel.evaluation.test_set import build_test_set
from tests.evaluation.rankers import Answer, Successors
from tests.evaluation.test_test_set import Told
from tests.support.settings import settings

MEDIA = ["video", "video", "music", "music", "music", None, "podcast"]
TOLD = Told(
    7,
    positive_train=[[0, 2], [1], [2], [5]], positive_valid=[[], [], [], []], positive_test=[[3], [2, 4], [6], [3]],
    seen_train=[[0, 2], [1], [2], [5]], seen_valid=[[], [], [], []],
)  # fmt: skip


class Listed:
    """Answers the allowed items in index order, and keeps what it was asked."""

    models = ("blend", "popularity")

    def __init__(self) -> None:
        self.asked: list[Histories] = []

    def recommend_many(self, histories: Histories, *, exclude: Histories | None, k: int, **rest: Any) -> Answer:
        self.asked.append(histories)
        assert exclude is not None
        lists = np.full((len(histories), k), -1, np.int32)
        for row in range(len(histories)):
            allowed = np.setdiff1d(np.arange(7), exclude[row][0])[:k]
            lists[row, : len(allowed)] = allowed
        return Answer(lists)


def test_each_pair_is_asked_about_with_the_told_medium_alone() -> None:
    """Music for the users 0 and 1 from video: 3 comes first for user 0, who has seen 2; 2 and 4 come first and third
    for user 1. A podcast for user 2, whose music is told: it is the only one. User 3's history has no known medium."""
    ranker = Listed()
    rows, reason = cross_domain(build_test_set(TOLD, "fold", None), ranker, "blend", MEDIA, settings().evaluate, 0)
    found = {(row.what, row.model): (row.users, row.ndcg.point) for row in rows}
    second = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    assert not reason
    assert found["user, music from video alone", "blend"] == (2, pytest.approx((1 + second) / 2))
    assert found["user, podcast from music alone", "blend"] == (1, 1.0)
    assert {what for what, _ in found} == {"user, music from video alone", "user, podcast from music alone"}
    assert {tuple(each[row][0]) for each in ranker.asked for row in range(len(each))} == {(0,), (1,), (2,)}


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    question = build_test_set(TOLD, "fold", None)
    whole = cross_domain(question, Listed(), "blend", MEDIA, settings().evaluate, 0)
    monkeypatch.setattr(module, "CELLS", 1)
    assert cross_domain(question, Listed(), "blend", MEDIA, settings().evaluate, 0) == whole


def test_of_many_users_some_are_asked() -> None:
    few = settings(evaluate={"cold_users": 1}).evaluate
    rows, _ = cross_domain(build_test_set(TOLD, "fold", None), Listed(), "blend", MEDIA, few, 0)
    assert {row.users for row in rows} == {1}


@pytest.mark.parametrize(
    "media, reason",
    [
        (["video"] * 6 + [None], "the catalogue has only one medium"),
        (["video"] * 5 + ["podcast", "video"], "no test user has a history in one medium and a test item in another"),
    ],
)
def test_where_nothing_can_be_measured_it_says_why(media: list[str | None], reason: str) -> None:
    told = Told(7, positive_train=[[0]], positive_valid=[[]], positive_test=[[1]], seen_train=[[0]], seen_valid=[[]])
    ranker = Successors(told.positives("fold", ("train",)), 7)
    assert cross_domain(build_test_set(told, "fold", None), ranker, "blend", media, settings().evaluate, 0) == (
        [],
        reason,
    )


def test_narrowing_leaves_the_question_as_it_was() -> None:
    question = build_test_set(TOLD, "fold", None)
    before = question.histories.items.copy(), question.truth.keys.copy()
    narrowed(question, MEDIA, "video", "music")
    np.testing.assert_array_equal(question.histories.items, before[0])
    np.testing.assert_array_equal(question.truth.keys, before[1])
