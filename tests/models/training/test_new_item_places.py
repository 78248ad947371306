"""Places for new items stay only where validation says that they don't cost too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.validation import ndcg
from nightreel.models.training.new_item_places import places_kept
from nightreel.models.training.training_examples import Validator
from nightreel.models.training.training_positions import Positions, tail
from tests.models.ranker.test_new_items import NEW_OF_TASTE, over
from tests.support.planted import histories

JUDGE = Validator(ndcg, exclude_seen=True, clock=True, threads=1)


def held_out(wanted_new: bool) -> Positions:
    """The last event of each history; with wanted_new, every second user's is the new item of their taste."""
    positions = tail(histories(), 1, 3)
    targets = positions.targets.items.copy()
    if wanted_new:
        targets[::2] = np.array(NEW_OF_TASTE)[positions.users[::2] % 2]
    indptr, times = positions.targets.indptr, positions.targets.times
    return replace(positions, targets=Histories(indptr, targets, times))


def test_they_stay_where_people_take_new_items(capsys: pytest.CaptureFixture[str]) -> None:
    assert places_kept(over(0), held_out(wanted_new=True), 5, JUDGE) == 5
    assert "1 place in 5 kept for new items: validation NDCG@10 0." in capsys.readouterr().out


def test_they_go_where_they_surely_cost_more_than_they_are_worth(capsys: pytest.CaptureFixture[str]) -> None:
    """At the first place of every list stands what nobody takes, then at the second; the third is worth little."""
    assert places_kept(over(0), held_out(wanted_new=False), 1, JUDGE) == 0
    assert capsys.readouterr().out.count("that costs too much") == 2


def test_half_as_many_are_kept_where_these_cost_too_much(capsys: pytest.CaptureFixture[str]) -> None:
    assert places_kept(over(0), held_out(wanted_new=False), 2, JUDGE) == 4
    assert capsys.readouterr().out.count("that costs too much") == 1
    assert places_kept(over(0), held_out(wanted_new=False), 3, JUDGE) == 3, "a loss that may be chance is none"


def test_where_nothing_can_be_measured_they_are_as_set() -> None:
    positions = held_out(wanted_new=False)
    assert places_kept(None, positions, 7, JUDGE) == 7
    assert places_kept(over(0), positions.take(np.empty(0, np.int64)), 7, JUDGE) == 7
    assert places_kept(over(0), positions, 0, JUDGE) == 0
