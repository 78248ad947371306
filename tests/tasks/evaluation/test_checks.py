"""Each hard check finds the list that breaks it, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tasks.data.histories import Histories
from tasks.evaluation.checks import CHECKS, Hidden, faults
from tasks.evaluation.ranking import Truth
from tasks.evaluation.trial import Trial, answers
from tests.tasks.evaluation.rankers import Answer

N = 30
SEEN = Histories.from_rows([([0, 1], [1, 2])] * 3)
TRIAL = Trial(
    "fold",
    np.arange(3),
    SEEN,
    SEEN,
    np.full(3, 100.0),
    Truth.of(Histories.from_rows([([5], [0])] * 3), N),
    np.ones(N),
    0,
)
CLEAN = np.array([np.arange(2, 12), np.arange(12, 22), np.arange(3, 13)], np.int32)
OPEN = Hidden(np.zeros(N, bool), np.full(N, np.inf))


def found(lists: np.ndarray, sound: list[bool] | None = None, trial: Trial = TRIAL, hidden: Hidden = OPEN) -> list[int]:
    return list(faults(trial, lists, np.array(sound or [True] * 3), hidden).values())


def changed(row: int, place: int, item: int) -> np.ndarray:
    lists = CLEAN.copy()
    lists[row, place] = item
    return lists


def test_sound_lists_have_no_fault() -> None:
    assert found(CLEAN) == [0] * len(CHECKS)


def test_each_fault_is_counted_by_list() -> None:
    assert found(CLEAN, [True, False, False]) == [2, 0, 0, 0, 0]
    assert found(changed(1, 3, 0)) == [0, 1, 0, 0, 0]
    assert found(changed(1, 3, 12)) == [0, 0, 0, 1, 0]
    assert found(changed(1, 9, -1)) == [0, 0, 0, 0, 1]


def test_what_is_hidden_from_all_or_has_expired_may_not_show() -> None:
    blocked, expires = np.zeros(N, bool), np.full(N, np.inf)
    blocked[2], expires[20], expires[12] = True, 100.0, 101.0
    assert found(CLEAN, hidden=Hidden(blocked, expires))[2] == 2  # rows 0 and 1; item 12 is there until 101


def test_where_repeats_are_allowed_a_seen_item_is_no_fault() -> None:
    assert found(changed(1, 3, 0), trial=replace(TRIAL, exclude=None)) == [0] * len(CHECKS)


def test_a_short_list_is_no_fault_where_there_is_nothing_left_to_show() -> None:
    everything = Histories.from_rows([(list(range(25)), range(25))] * 3)
    lists = np.full((3, 10), -1, np.int32)
    lists[:, :5] = np.arange(25, 30)
    assert found(lists, trial=replace(TRIAL, exclude=everything)) == [0] * len(CHECKS)


def test_hidden_is_read_from_clean_items() -> None:
    items = pa.table({
        "blocked": [False, True],
        "expires_at": pa.array([None, 5_000_000], pa.timestamp("us", "UTC")),
    })  # fmt: skip
    hidden = Hidden.of(items, "time")
    assert (hidden.blocked.tolist(), hidden.expires.tolist()) == ([False, True], [np.inf, 5.0])
    assert Hidden.of(items, "order").expires.tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_seen_where_an_item_stands(bad: float) -> None:
    class Scored(Answer):
        @property
        def scores(self) -> np.ndarray:
            scores = np.zeros(self.items.shape, np.float32)
            scores[1, 0], scores[2, 9] = bad, bad
            return scores

    class Ranker:
        models = ("blend",)

        def recommend_many(self, histories: Histories, **_: object) -> Answer:
            lists = CLEAN.copy()
            lists[2, 9] = -1
            return Scored(lists)

    lists, sound = answers(Ranker(), TRIAL, 10, "blend")
    assert sound.tolist() == [True, False, True]  # padding has no score to be wrong
    assert lists.shape == (3, 10)
