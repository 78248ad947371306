"""What a night takes over from an earlier night's selection, and when it selects anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.training.earlier_selection import CutRecord, EarlierSelection
from nightreel.models.training.fold_task import Task, TimeCut
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
    ("start", "end", "most", "kept"),
    [(4, 5, 3, [1, 2, 3]), (4, 5, 2, [2, 3]), (4, 5, 0, []), (3.4, 4.4, 3, [0, 1, 2]), (3.6, 4.6, 3, [1, 2, 3]), (0, 9, 3, [])],
)  # fmt: skip
def test_the_newest_records_that_are_not_tonights_own(start: float, end: float, most: int, kept: list[int]) -> None:
    earlier = selection(*(record(day, 0.2) for day in range(4)))
    past, held_out = (Histories.from_rows([([1], [time * DAY])]) for time in (start - 1, end))
    positions = Positions(past, np.array([start * DAY]), held_out, np.array([0]))
    task = Task((TimeCut(past, positions),), in_time=True)
    assert [round(cut.start / DAY) for cut in earlier.beside(task, most).cuts] == kept
    assert earlier.beside(replace(task, in_time=False), most).cuts == (), "each user's last event is no point in time"


def test_a_lead_that_has_fallen_for_sure_makes_everything_be_selected_anew() -> None:
    earlier = selection(record(0, 0.2), record(1, 0.22), record(2, 0.18))
    assert earlier.fallen(record(3, 0.12)), "a lead of 20% after one of 100%"
    assert not earlier.fallen(record(3, 0.19)) and not earlier.fallen(record(3, 0.25))
    # Of few users, the same fall may be chance.
    scores = {"mix": np.array([0.0, 0.5, 0.0, 0.2]), "popularity": np.array([0.2, 0.0, 0.4, 0.0])}
    assert not earlier.fallen(replace(record(3, 0.12), users=np.arange(4), scores=scores))


def test_nothing_is_concluded_where_the_ranker_was_not_scored() -> None:
    unscored = CutRecord(0.0, DAY, nothing(), USERS, {})
    assert not selection(record(0, 0.2)).fallen(unscored)
    assert not selection(unscored).fallen(record(3, 0.0))
