"""Each hard check finds the list that breaks it, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nightreel.data.histories import Histories
from nightreel.evaluation.list_checks import CHECKS, Hidden, faults
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.test_set import TestSet

N = 30
SEEN = Histories.from_rows([([0, 1], [1, 2])] * 3)
TRIAL = TestSet(
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
OPEN = Hidden(np.zeros(N, bool))


def found(
    lists: np.ndarray, sound: list[bool] | None = None, trial: TestSet = TRIAL, hidden: Hidden = OPEN
) -> list[int]:
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


def test_what_may_not_be_shown_today_may_not_show() -> None:
    hidden = Hidden.of([f"i{n}" for n in range(N)], ["i2", "i20", "unknown"])
    assert np.flatnonzero(hidden.items).tolist() == [2, 20]
    assert found(CLEAN, hidden=hidden)[2] == 2  # rows 0 and 1


def test_a_list_is_short_only_of_what_may_be_shown() -> None:
    hidden = Hidden(np.arange(N) >= 5)
    assert found(changed(1, slice(2, 10), -1), trial=replace(TRIAL, exclude=None), hidden=hidden)[4] == 1
    some = Hidden(np.arange(N) >= 2)
    assert found(changed(1, slice(2, 10), -1), trial=replace(TRIAL, exclude=None), hidden=some)[4] == 0


def test_where_repeats_are_allowed_a_seen_item_is_no_fault() -> None:
    assert found(changed(1, 3, 0), trial=replace(TRIAL, exclude=None)) == [0] * len(CHECKS)


def test_a_short_list_is_no_fault_where_there_is_nothing_left_to_show() -> None:
    everything = Histories.from_rows([(list(range(25)), range(25))] * 3)
    lists = np.full((3, 10), -1, np.int32)
    lists[:, :5] = np.arange(25, 30)
    assert found(lists, trial=replace(TRIAL, exclude=everything)) == [0] * len(CHECKS)
