"""What a night takes over from an earlier night's selection, and when it selects anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.training.fold_task import Task, TimeCut
from nightreel.models.training.going_on.earlier_selection import CutRecord, EarlierSelection
from nightreel.models.training.training_examples import nothing
from nightreel.models.training.training_positions import Positions

DAY = 86_400.0
USERS = np.arange(400)


def record(day: int, own: float, popularity: float = 0.1, days: float = 1.0) -> CutRecord:
    """A cut whose scores vary from user to user, alike for both rankers."""
    noise = np.random.default_rng(day).normal(0, 0.02, len(USERS))
    scores = {"mix": own + noise, "popularity": popularity + noise / 2}
    return CutRecord(day * DAY, (day + days) * DAY, nothing(), USERS, scores)


def selection(*cuts: CutRecord) -> EarlierSelection:
    return EarlierSelection(0, {"ease": {"decay": 10.0}}, "mix", True, 0, cuts)


@pytest.mark.parametrize(
    ("start", "end", "most", "kept", "whole"),
    [
        (4, 5, 4, [1, 2, 3], False),
        (4, 5, 3, [2, 3], False),
        (4, 5, 1, [], False),
        (3.6, 4.6, 4, [1, 2, 3], False),
        (0, 9, 4, [], False),
        (3.4, 4.4, 4, [0, 1, 2, 3], True),
        (3, 4, 2, [2, 3], True),
    ],
)
def test_the_newest_records_that_are_not_tonights_own(
    start: float, end: float, most: int, kept: list[int], whole: bool
) -> None:
    earlier = selection(*(record(day, 0.2) for day in range(4)))
    past, held_out = (Histories.from_rows([([1], [time * DAY])]) for time in (start - 1, end))
    positions = Positions(past, np.array([start * DAY]), held_out, np.array([0]))
    task = Task((TimeCut(past, positions),), in_time=True)
    found = earlier.beside(task, most)
    assert [round(cut.start / DAY) for cut in found.cuts] == kept and found.whole == whole
    assert earlier.beside(replace(task, in_time=False), most).cuts == (), "each user's last event is no point in time"


def test_a_newest_record_without_scores_leaves_the_cut_to_be_trained() -> None:
    unscored = replace(record(3, 0.2), scores={})
    past, held_out = (Histories.from_rows([([1], [time * DAY])]) for time in (2, 4))
    task = Task((TimeCut(past, Positions(past, np.array([3 * DAY]), held_out, np.array([0]))),), in_time=True)
    found = selection(record(1, 0.2), record(2, 0.2), unscored).beside(task, 4)
    assert not found.whole and [round(cut.start / DAY) for cut in found.cuts] == [1, 2]


def test_a_lead_that_has_fallen_for_sure_makes_everything_be_selected_anew() -> None:
    earlier = selection(record(0, 0.2), record(1, 0.22), record(2, 0.18))
    assert earlier.fallen(record(3, 0.12)), "a lead of 20% after one of 100%"
    fallen = record(3, 0.12)
    assert replace(earlier, cuts=(*earlier.cuts, fallen)).fallen(fallen), "it is not one of those before itself"
    assert not earlier.fallen(record(3, 0.19)) and not earlier.fallen(record(3, 0.25))
    # Of few users, the same fall may be chance.
    scores = {"mix": np.array([0.0, 0.5, 0.0, 0.2]), "popularity": np.array([0.2, 0.0, 0.4, 0.0])}
    assert not earlier.fallen(replace(record(3, 0.12), users=np.arange(4), scores=scores))


def test_nothing_is_concluded_where_the_ranker_was_not_scored() -> None:
    unscored = CutRecord(0.0, DAY, nothing(), USERS, {})
    assert not selection(record(0, 0.2)).fallen(unscored)
    assert not selection(unscored).fallen(record(3, 0.0))
