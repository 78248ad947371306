"""A/B read-out: sample-ratio-mismatch test and always-valid confidence sequences.

The intervals may be read every night, and the test may be stopped at any time: with probability 1 - α they hold on all
nights at once. They are the normal-mixture confidence sequence (Robbins 1970; asymptotic for means by Waudby-Smith et
al., "Time-uniform central limit theory and asymptotic confidence sequences", 2024): for n users and a standard error s
of the difference,

    ± s · √(2 (nρ² + 1) / (nρ²) · ln(√(nρ² + 1) / α)),   ρ² = (-2 ln α + ln(1 - 2 ln α)) / n*

tightest at n* users. A fixed-sample 95% interval that is read every night misses the true value on some night in far
more than 5% of all tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chisquare

from nightreel.data.histories import FloatArray

LEAST = 30  # fewest users of an arm for which the mean is approximately normal


@dataclass(frozen=True)
class ArmDifference:
    """An arm against the control. control_value, arm_value: the outcome in each; point, low, high: the difference;
    users: of control and arm."""

    control_value: float
    arm_value: float
    point: float
    low: float
    high: float
    users: tuple[int, int]


def sample_ratio_p_value(users: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """p-value of the sample-ratio-mismatch test. shares: the intended shares, empty for equal ones."""
    names = list(users)
    meant = np.array([shares.get(name, 0.0) if shares else 1.0 for name in names])
    total = sum(users.values())
    if len(names) < 2 or not total or (meant == 0).any():
        return 0.0 if (meant == 0).any() else 1.0
    return float(chisquare([users[name] for name in names], meant / meant.sum() * total).pvalue)


def half_width(error: float, n: int, alpha: float, tightest: float) -> float:
    """Half-width of the confidence sequence. error: standard error of the difference; n: users in both arms."""
    rho2 = (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / tightest
    spread = n * rho2
    return float(error * np.sqrt(2 * (spread + 1) / spread * np.log(np.sqrt(spread + 1) / alpha)))


def arm_difference(
    control: tuple[FloatArray, FloatArray], arm: tuple[FloatArray, FloatArray], alpha: float, tightest: float
) -> ArmDifference | str:
    """Return the difference of two ratios of sums, or why it can't be measured.

    Each arm is given as (numerators, denominators) [n] by user, with denominators of 1 for a mean. The standard error
    is by the delta method, with users as the unit.
    """
    sizes = len(control[0]), len(arm[0])
    if min(sizes) < LEAST:
        return f"an arm has {min(sizes):,} users, fewer than {LEAST}"
    (first, variance), (second, other) = _ratio(*control), _ratio(*arm)
    if not variance + other:
        return "every user of an arm has the same outcome, so there is no variance for an interval"
    wide = half_width(float(np.sqrt(variance + other)), sum(sizes), alpha, tightest)
    point = second - first
    return ArmDifference(first, second, point, point - wide, point + wide, sizes)


def _ratio(top: FloatArray, bottom: FloatArray) -> tuple[float, float]:
    """(Σ top / Σ bottom, its variance)."""
    value = float(top.sum() / bottom.sum())
    rest = (top - value * bottom) / bottom.mean()
    return value, float(rest.var(ddof=1) / len(rest))
