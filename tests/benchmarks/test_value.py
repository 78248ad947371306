from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.quality.night import NightError
from benchmarks.value.head_scores import auc, intervals
from benchmarks.value.held_out import HeldOut
from benchmarks.value.pareto import GRID
from nightreel.outcome_values import checked


def test_auc_is_that_of_scikit_learn_with_ties_and_weights() -> None:
    rng = np.random.default_rng(0)
    place, labels, weights = rng.integers(0, 20, 300), rng.random(300) < 0.3, rng.random(300)
    assert auc(place, labels, weights) == pytest.approx(roc_auc_score(labels, place, sample_weight=weights))
    assert np.isnan(auc(place, np.zeros(300, bool), weights))


def test_intervals_hold_the_point_and_are_paired() -> None:
    rng = np.random.default_rng(1)
    labels, users = rng.random(400) < 0.3, np.arange(400) // 4
    good = np.clip(0.3 + 0.3 * labels + 0.2 * rng.normal(size=400), 0.01, 0.99)
    (ours, _), gap = intervals([good, good], labels, users, 100)
    assert ours[0].low < ours[0].point < ours[0].high and ours[1].low < ours[1].point < ours[1].high
    assert (gap.point, gap.low, gap.high) == (0.0, 0.0, 0.0)


def test_every_setting_of_the_grid_is_valid_and_the_first_is_the_ranker_alone() -> None:
    assert GRID[0] == {} and all(checked(value) == value for value in GRID)


def test_a_workspace_without_a_night_is_named(tmp_path: Path) -> None:
    with pytest.raises(NightError, match=r"has no data/validate/splits\.json"):
        HeldOut.read(tmp_path)
