"""PSI and the KS distance against figures by hand and against scipy; chance is no drift."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from tasks.evaluation.spread import BINS, Spread, ks, psi, spread_of_labels, spread_of_numbers


def labels(counts: dict[str, int], unknown: int = 0, like: Spread | None = None) -> Spread:
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
    assert Spread.from_json(told.as_json()) == told
