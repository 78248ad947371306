"""Experiments: intervals that hold on every night, arms of the wrong size, and figures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.evaluation.logs.sequential_test import ArmDifference, arm_difference, half_width, sample_ratio_p_value

ONE = np.ones(50)


def test_arms_of_the_wrong_size_are_found() -> None:
    # (5,200 - 5,000)² / 5,000 · 2 = 16: p = 0.0000633
    assert sample_ratio_p_value({"a": 5200, "b": 4800}, {}) == pytest.approx(6.334e-5, rel=1e-3)
    assert sample_ratio_p_value({"a": 5200, "b": 4800}, {"a": 0.52, "b": 0.48}) == 1
    assert sample_ratio_p_value({"a": 9, "surplus": 9}, {"a": 1}) == 0, "an arm that was not meant to be"


def test_the_width_by_hand() -> None:
    # ρ² n = 1 where n* = n (-2 ln α + ln(1 - 2 ln α)): √(2 · 2 · ln(√2 / 0.05)) = √(4 · 3.342306)
    n = 1000
    tightest = n * (-2 * np.log(0.05) + np.log(1 - 2 * np.log(0.05)))
    assert half_width(0.1, n, 0.05, tightest) == pytest.approx(0.1 * np.sqrt(4 * 3.3423057), rel=1e-6)
    widths = [half_width(1 / np.sqrt(m), m, 0.05, 1000) * np.sqrt(m) for m in (10, 1000, 100_000)]
    assert min(widths) == widths[1] and widths[1] > 1.96


def test_a_ratio_is_of_sums_and_its_error_of_users() -> None:
    clicks, shown = np.tile([1.0, 3.0], 25), np.tile([10.0, 10.0], 25)
    found = arm_difference((clicks, shown), (clicks * 2, shown), 0.05, 1000)
    assert isinstance(found, ArmDifference)
    assert (found.control_value, found.arm_value, found.users) == (pytest.approx(0.2), pytest.approx(0.4), (50, 50))
    error = np.sqrt(np.var(clicks / 10, ddof=1) / 50 + np.var(clicks / 5, ddof=1) / 50)
    assert found.high - found.point == pytest.approx(half_width(error, 100, 0.05, 1000))
    assert "no variance" in str(arm_difference((ONE, ONE), (ONE, ONE), 0.05, 1000))
    assert "fewer than 30" in str(arm_difference((clicks[:9], shown[:9]), (clicks, shown), 0.05, 1000))


def test_it_holds_on_all_nights_at_once_where_a_fixed_interval_does_not() -> None:
    """A/A: 400 experiments of 2 × 2,000 users, looked at after every 40."""
    rng = np.random.default_rng(0)
    looks = np.arange(80, 4001, 40)
    pairs = (rng.random((400, 2, 2000)) < 0.3).astype(np.float64)
    sums = np.cumsum(pairs, axis=2)[:, :, looks // 2 - 1]
    means = sums / (looks / 2)
    error = np.sqrt((means * (1 - means) / (looks / 2)).sum(axis=1))
    gap = np.abs(means[:, 1] - means[:, 0])
    wide = np.array([half_width(1.0, int(n), 0.05, 2000) for n in looks])
    ever, fixed = ((gap > factor * error).any(axis=1).mean() for factor in (wide, 1.96))
    assert ever <= 0.05
    assert fixed > 0.2


def test_an_effect_is_found() -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.random(20_000) < 0.30).astype(float), (rng.random(20_000) < 0.33).astype(float)
    found = arm_difference((one, np.ones(20_000)), (other, np.ones(20_000)), 0.05, 10_000)
    assert isinstance(found, ArmDifference)
    assert 0 < found.low < 0.03 < found.high
