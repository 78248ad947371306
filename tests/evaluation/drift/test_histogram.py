"""PSI and the KS distance against figures by hand and against scipy; chance is no drift."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from nightreel.evaluation.drift.histogram import (
    BINS,
    Histogram,
    apart,
    effective,
    ks,
    psi,
    spread_of_labels,
    spread_of_numbers,
)


def labels(counts: dict[str, int], unknown: int = 0, like: Histogram | None = None) -> Histogram:
    return spread_of_labels(counts, unknown, None if like is None else [str(mark) for mark in like.marks])


def test_psi_by_hand() -> None:
    # (0.75 - 0.5) ln(0.75 / 0.5) + (0.25 - 0.5) ln(0.25 / 0.5)
    before = labels({"a": 500, "b": 500})
    assert psi(before, labels({"a": 750, "b": 250}, like=before))[0] == pytest.approx(0.2746531)
    assert psi(before, before)[0] == 0


def test_labels_that_nobody_knew_and_cells_that_are_empty_are_bins_too() -> None:
    before = labels({"a": 1000})
    # "new" and the empty bin of before: (0.9 - 1) ln 0.9 + (0.1 - 0.0005) ln(0.1 / 0.0005): half a row
    expected = -0.1 * np.log(0.9) + (0.1 - 5e-4) * np.log(200)
    assert psi(before, labels({"a": 900, "new": 100}, like=before))[0] == pytest.approx(expected)
    assert psi(before, labels({"a": 900}, unknown=100, like=before))[0] == pytest.approx(expected)


def test_ks_is_exact_for_few_values_and_off_by_a_bin_at_most_for_many() -> None:
    rng = np.random.default_rng(0)
    stars, later = rng.integers(1, 6, 900), rng.choice(5, 700, p=[0.1, 0.1, 0.2, 0.2, 0.4]) + 1
    before = spread_of_numbers(stars)
    assert before.marks == (1, 2, 3, 4, 5)
    assert ks(before, spread_of_numbers(later, before.marks))[0] == pytest.approx(ks_2samp(stars, later).statistic)
    wide, shifted = rng.normal(size=5000), rng.normal(0.3, 1.2, 4000)
    before = spread_of_numbers(wide)
    assert len(before.marks) == BINS
    found = ks(before, spread_of_numbers(shifted, [float(mark) for mark in before.marks]))[0]
    exact = ks_2samp(wide, shifted).statistic
    assert exact - 1 / BINS - 1e-9 <= found <= exact + 1e-9


def test_equal_sources_are_within_chance_however_few_they_are() -> None:
    rng = np.random.default_rng(1)
    beyond = [0, 0]
    for _ in range(300):
        before = spread_of_numbers(rng.normal(size=200))
        other = spread_of_numbers(rng.normal(size=60), [float(mark) for mark in before.marks])
        beyond[0] += psi(before, other)[0] > psi(before, other)[1]
        beyond[1] += ks(before, other)[0] > ks(before, other)[1]
    assert psi(before, other)[0] > 0.05, "or the bound has nothing to forgive"
    assert max(beyond) <= 3


def test_a_spread_comes_back_from_its_file() -> None:
    told = spread_of_numbers([1.0, 2.0, 2.0, np.nan])
    assert (told.marks, told.counts, told.unknown, told.total) == ((1, 2), (1, 2, 0), 1, 4)
    assert Histogram.from_json(told.as_json()) == told


def test_what_is_sure_is_less_than_what_was_seen_and_chance_alone_is_never_sure() -> None:
    rng = np.random.default_rng(2)
    beyond = 0
    for _ in range(100):
        before = spread_of_numbers(rng.integers(0, 24, 5000))
        other = spread_of_numbers(rng.integers(0, 24, 633), [float(mark) for mark in before.marks])
        found = apart(before, other, 633)
        beyond += found.least_psi > 0.02 or found.least_moved > 0.03
    assert beyond == 0
    late = spread_of_numbers(rng.integers(12, 24, 2000), [float(mark) for mark in before.marks])
    sure = apart(before, late, 2000)
    assert sure.moved == pytest.approx(0.5, abs=0.03) and 0.4 < sure.least_moved < sure.moved
    assert 1 < sure.least_psi < sure.psi and apart(before, late, 2000) == sure
    few = apart(before, late, 8)
    assert few.values == 8 and few.least_psi < sure.least_psi and few.least_moved < sure.least_moved


def test_a_new_label_of_little_share_is_a_great_psi_and_moves_little() -> None:
    before = labels({"tv": 30_000, "phone": 70_000})
    found = apart(before, labels({"tv": 28_800, "phone": 67_200, "watch": 4_000}, like=before), 1e6)
    assert found.least_psi > 0.25 and found.moved == pytest.approx(0.04)


def test_cells_that_are_empty_now_have_moved() -> None:
    before = spread_of_numbers(np.arange(1000.0))
    gone = spread_of_numbers(np.append(np.arange(500.0), np.full(500, np.nan)), [float(mark) for mark in before.marks])
    assert apart(before, gone, 1000).moved == pytest.approx(0.5, abs=0.01)


def test_a_users_own_events_are_one_value_and_a_half() -> None:
    assert effective(np.arange(50)) == 50
    assert effective(np.zeros(50, np.int64)) == 1
    assert effective(np.array([0, 0, 0, 1])) == pytest.approx(1.6)
