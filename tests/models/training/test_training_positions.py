from __future__ import annotations

import numpy as np

from nightreel.data.histories import Histories
from nightreel.models.training.fold_task import leave_last_out_task
from nightreel.models.training.training_positions import joined, tail, window, without_tail

ROWS = Histories.from_rows([([1, 2, 3, 4], [10, 20, 30, 40]), ([5], [15]), ([], [])])


def test_tail_holds_out_one_event_and_asks_at_the_one_before() -> None:
    held = tail(ROWS, back=2, least=1)
    assert held.users.tolist() == [0]
    assert held.histories.items.tolist() == [1, 2]
    assert held.targets.items.tolist() == [3]
    assert held.moments.tolist() == [20.0]


def test_tail_leaves_out_histories_that_would_be_too_short() -> None:
    assert tail(ROWS, back=1, least=4).users.tolist() == []
    assert tail(ROWS, back=1, least=3).users.tolist() == [0]


def test_without_tail_keeps_the_first_events() -> None:
    kept = without_tail(ROWS, count=3, least=2)
    assert kept.items.tolist() == [1, 2, 5] and kept.indptr.tolist() == [0, 2, 3, 3]


def test_window_takes_users_that_are_active_before_and_inside() -> None:
    asked = window(ROWS, 20, 40)
    assert asked.users.tolist() == [0]
    assert asked.histories.items.tolist() == [1] and asked.targets.items.tolist() == [2, 3]
    assert asked.moments.tolist() == [20.0]


def test_first_meetings_leave_out_answers_that_their_user_took_before() -> None:
    rows = Histories.from_rows([([1, 2, 1, 3], [10, 20, 30, 40]), ([5, 5], [15, 16]), ([4, 6], [10, 40])])
    new = window(rows, 20, 50).first_meetings()
    assert new.users.tolist() == [0, 2] and new.targets.items.tolist() == [2, 3, 6]
    assert new.targets.indptr.tolist() == [0, 2, 3] and new.histories.items.tolist() == [1, 4]
    assert not len(tail(rows.take(np.array([1])), back=1, least=1).first_meetings())


def test_joined_keeps_every_row() -> None:
    both = joined([tail(ROWS, 1, 1), tail(ROWS, 2, 1)])
    assert both.targets.items.tolist() == [4, 3] and both.histories.indptr.tolist() == [0, 3, 5]


def test_a_task_never_trains_on_an_answer() -> None:
    train = Histories.from_rows([([1, 2, 3, 4, 5, 6], range(6)), ([7, 8, 9, 10, 11], range(5))])
    valid = Histories.from_rows([([20], [9.0]), ([21], [9.0])])
    task = leave_last_out_task(train, valid, positions=2)
    assert task.inner.items.tolist() == [1, 2, 3, 4, 7, 8, 9]
    assert sorted(task.earlier.targets.items.tolist()) == [5, 6, 10, 11]
    assert task.valid.targets.items.tolist() == [20, 21] and task.valid.moments.tolist() == [5.0, 4.0]
