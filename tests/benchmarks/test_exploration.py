"""The made-up platform is what its benchmark says, and a short run of it is whole."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from benchmarks.exploration import __main__ as benchmark
from benchmarks.exploration.__main__ import Arm, run, show_arms
from benchmarks.exploration.clocked_world import BAD, GOOD, ClockedWorld


def test_what_is_taken_has_the_probability_that_the_truth_says() -> None:
    rng = np.random.default_rng(0)
    world = ClockedWorld.made(30, 20, 5, 2, rng)
    assert len(world.born) == 30 and (world.born[:20] == -1).all() and world.born[20:].tolist() == [0] * 5 + [1] * 5
    items = np.arange(20)
    taken = np.mean([world.show(3, items, np.ones(20), day, rng) for day in range(100)], axis=0)
    assert taken == pytest.approx(world.chances[3, :20], abs=4 * 0.5 / 10)
    assert world.chances[:, world.good].max() <= GOOD and world.chances[:, ~world.good].max() <= BAD
    assert world.data(0).n_items == 25 and world.data(1).n_items == 30
    data = world.data(100)
    assert data.positives(None).lengths[3] == round(100 * taken.sum())
    assert data.events["propensity"].drop_null().to_numpy().tolist() == [1.0] * 2000


@pytest.mark.end_to_end
def test_a_short_run_shows_new_items(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("USERS", 40), ("FIRST", 60), ("DAILY", 10), ("FOUND_NIGHTS", 2)):
        monkeypatch.setattr(benchmark, name, value)
    runs = {arm: [run(arm, 0, 3)] for arm in (Arm(True, 0.0), Arm(False, 0.2), Arm(True, 0.2))}
    without, _, learned = (own[0][1] for own in runs.values())
    assert learned.shown[60:].sum() > without.shown[60:].sum()
    assert without.clicks == without.today and learned.clicks != learned.today
    console = Console(file=StringIO(), width=160)
    show_arms(runs, 3, console)
    assert "learned 0.2" in console.file.getvalue()  # type: ignore[attr-defined]
