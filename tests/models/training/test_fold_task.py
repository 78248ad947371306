"""Lessons in time: each knows what was known on an earlier night, and asks what came right after it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.training.fold_task import Cuts, Task, limited, next_cut, task_in_time

DAY = 86_400.0
CUTS = Cuts(most=4, users=5, share=0.1, new=False)


def log(users: int = 40, events: int = 30, days: float = 60.0, seed: int = 0) -> Histories:
    """Events of every user, spread evenly over the days."""
    rng = np.random.default_rng(seed)
    rows = [
        (rng.integers(0, 500, events).tolist(), (1e9 + np.sort(rng.uniform(0, days * DAY, events))).tolist())
        for _ in range(users)
    ]
    return Histories.from_rows(rows)


def sizes(known: Histories, task: Task) -> list[int]:
    """Events from each lesson's start to the next one's."""
    starts = [float(cut.positions.moments[0]) for cut in task.time_cuts]
    return [int(((known.times >= start) & (known.times < end)).sum()) for start, end in pairwise([*starts, np.inf])]


def test_no_lesson_knows_an_event_at_or_after_its_cut() -> None:
    known = log()
    task = task_in_time(known, CUTS)
    assert task.in_time and len(task.time_cuts) == 4
    for cut, later in pairwise([*task.time_cuts, None]):
        assert cut is not None
        asked = cut.positions
        (start,) = set(asked.moments.tolist())
        assert cut.known.times.max() < start and asked.histories.times.max() < start
        assert len(cut.known.items) == (known.times < start).sum(), "everything before it is known"
        assert asked.targets.times.min() >= start
        if later is not None:
            assert asked.targets.times.max() < later.positions.moments[0]
    assert max(cut.positions.targets.times.max() for cut in task.time_cuts) == known.times.max()


def test_lessons_are_of_the_last_days_size_and_the_first_knows_half_of_all_events() -> None:
    known = log()
    last_day = int((known.times > known.times.max() - DAY).sum())
    task = task_in_time(known, CUTS)
    assert task.size == last_day and sizes(known, task) == [last_day] * 4
    assert len(task.inner.items) >= len(known.items) / 2
    assert task.tried == task.time_cuts[2:], "settings are tried on the last two, never on the first"


def test_a_day_of_too_few_users_is_made_longer() -> None:
    known = log(users=40, events=30, days=600)
    last_day = int((known.times > known.times.max() - DAY).sum())
    task = task_in_time(known, Cuts(most=4, users=20, share=0.1, new=False))
    asked = [len(cut.positions) for cut in task.time_cuts]
    assert np.mean(asked) >= 20 and task.size > last_day
    assert task.size <= 0.1 * len(known.items)


def test_users_that_can_not_be_had_are_not_waited_for() -> None:
    known = log()
    task = task_in_time(known, Cuts(most=4, users=10_000, share=0.1, new=False))
    assert task.size == int(0.1 * len(known.items)) and len(task.time_cuts) == 4


def test_many_events_at_one_instant_stay_on_one_side_of_a_cut() -> None:
    """A clock that tells the month alone: two of four cuts fall into the same one."""
    month = 30 * DAY
    known = Histories.from_rows([([n % 50 + i for i in range(6)], [month * i for i in range(1, 7)]) for n in range(60)])
    task = task_in_time(known, CUTS)
    assert [set(cut.positions.targets.times.tolist()) for cut in task.time_cuts] == [
        {4 * month}, {5 * month}, {6 * month},
    ]  # fmt: skip
    assert [cut.known.times.max() for cut in task.time_cuts] == [3 * month, 4 * month, 5 * month]
    assert {len(cut.positions) for cut in task.time_cuts} == {60}


def test_a_log_of_one_day_still_has_lessons() -> None:
    known = log(days=0.5)
    task = task_in_time(known, CUTS)
    assert task.size == int(0.1 * len(known.items)) and sizes(known, task) == [task.size] * 4


@pytest.mark.parametrize("rows", [[], [([], [])], [([3], [5.0])], [([3, 4], [5.0, 5.0])]])
def test_where_nothing_came_later_there_is_one_lesson_without_questions(
    rows: list[tuple[list[int], list[float]]],
) -> None:
    task = task_in_time(Histories.from_rows(rows), CUTS)
    assert [len(cut.positions) for cut in task.time_cuts] == [0]
    assert len(task.train.items) == sum(len(items) for items, _ in rows)
    assert task.tried == task.time_cuts


def test_new_answers_alone_where_lists_hold_nothing_seen() -> None:
    rows = [([1, 2, 3, n % 5, n % 5], [10.0, 20.0, 30.0, 40.0 + n, 90.0 + n]) for n in range(20)]
    for new in (False, True):
        for cut in task_in_time(Histories.from_rows(rows), Cuts(2, 1, 0.3, new)).time_cuts:
            met = {(u, i) for u, r in enumerate(cut.positions.histories) for i in r[0].tolist()}
            taken = {(u, i) for u, r in enumerate(cut.positions.targets) for i in r[0].tolist()}
            assert bool(met & taken) != new


def test_newcomers_are_asked_about_apart() -> None:
    """One user's first event lies within the last lesson."""
    known = log()
    new = Histories.from_rows([*((i.tolist(), t.tolist()) for i, t in known), ([7, 8], [known.times.max()] * 2)])
    last = task_in_time(new, CUTS).time_cuts[-1]
    assert last.newcomers is not None
    assert last.newcomers.users.tolist() == [40] and 40 not in last.positions.users
    assert not len(last.newcomers.histories.items)


def test_the_next_lesson_is_what_a_later_night_would_have_asked() -> None:
    known = log()
    start = float(np.sort(known.times)[-200])
    asked = next_cut(known, start, 50, new=False)
    whole = task_in_time(known.where(known.times < np.sort(known.times)[-150]), CUTS)
    assert set(asked.moments.tolist()) == {start} and asked.histories.times.max() < start
    assert len(asked.targets.items) <= 50 and asked.targets.times.min() >= start
    assert whole.size > 0
    assert len(next_cut(known, float(known.times.max()) + 1, 50, new=False)) == 0


def test_a_limited_task_has_at_most_so_many_questions_in_every_lesson() -> None:
    task = limited(task_in_time(log(), CUTS), 7, 8, np.random.default_rng(0))
    assert [len(cut.positions) for cut in task.time_cuts] == [7] * 4
    for cut in task.time_cuts:
        assert (np.diff(cut.positions.users) > 0).all(), "in their order, nobody twice"
