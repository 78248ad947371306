"""Off-policy estimates against a world whose truth is known, and by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nightreel.data.histories import FloatArray
from nightreel.evaluation.logs.off_policy import Estimate, Impressions, estimate, why_unreliable
from nightreel.evaluation.metrics.bootstrap import Draws

USERS, ITEMS, K, SHOWN = 4000, 30, 3, 5


def resample(columns: FloatArray) -> FloatArray:
    return Draws(len(columns), 300, np.random.default_rng(0)).totals(columns)


def world(seed: int, never: int = 0) -> tuple[Impressions, np.ndarray, float]:
    """Slates of 5 of 30 items, each item in with its own probability (a popular half more often); the target shows the
    user's 3 best of 10 by a noisy guess. The first `never` items are never shown. Returns log, lists, true rate."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.02, 0.3, (USERS, ITEMS)) * (np.arange(ITEMS) % 3 + 1) / 3
    lists = np.argsort(-(rate[:, :10] + rng.normal(0, 0.05, (USERS, 10))), axis=1)[:, :K].astype(np.int32)
    shown_with = np.where(np.arange(ITEMS) < 15, 2, 1) * SHOWN / 45
    shown_with[:never] = 0
    user, item = np.nonzero(rng.random((USERS, ITEMS)) < shown_with)
    response = (rng.random(len(user)) < rate[user, item]).astype(np.float64)
    log = Impressions(user, user, item, shown_with[item], response)
    return log, lists, float(np.take_along_axis(rate, lists.astype(np.int64), axis=1).mean())


def test_by_hand() -> None:
    """Two users, one slate each; lists of two places."""
    log = Impressions(
        np.array([0, 0, 1]),
        np.array([0, 0, 1]),
        np.array([0, 1, 2]),
        np.array([0.5, 0.25, 0.5]),
        np.array([1.0, 0.0, 1.0]),
    )
    found = estimate(log, np.array([[0, 1], [0, 2]], np.int32), 3, resample)
    assert isinstance(found, Estimate)
    weights = [Fraction(2), Fraction(4), Fraction(2)]
    assert found.ips.point == pytest.approx(float(Fraction(4, 4)))
    assert found.snips.point == pytest.approx(float(Fraction(4, 8)))
    assert found.support.point == pytest.approx(float(Fraction(8, 4)))
    assert found.effective == pytest.approx(float(sum(weights) ** 2 / sum(w * w for w in weights)))
    assert found.logged.point == pytest.approx(2 / 3)
    # User 0 is judged by user 1's rates (mean 1): 1, 1; and user 1 by user 0's (mean 1/2): 6/11, 5/11, 1/2.
    first = Fraction(2) + 2 * (1 - Fraction(1)) + 4 * (0 - Fraction(1))
    second = Fraction(6, 11) + Fraction(1, 2) + 2 * (1 - Fraction(1, 2))
    assert found.dr.point == pytest.approx(float((first + second) / 4))


def test_the_truth_is_inside_and_doubly_robust_is_the_tightest() -> None:
    inside = {"ips": 0, "snips": 0, "dr": 0}
    widths = dict.fromkeys(inside, 0.0)
    for seed in range(10):
        log, lists, truth = world(seed)
        found = estimate(log, lists, ITEMS, resample)
        assert isinstance(found, Estimate)
        assert why_unreliable(found, 0.9, 100) is None
        assert abs(found.logged.point - truth) > 0.01, "or the log's own rate would do"
        for name in inside:
            each = getattr(found, name)
            inside[name] += each.low <= truth <= each.high
            widths[name] += each.high - each.low
    assert min(inside.values()) >= 8
    assert widths["dr"] < widths["ips"]


def test_it_is_refused_where_support_is_lacking() -> None:
    log, lists, _ = world(0, never=5)
    found = estimate(log, lists, ITEMS, resample)
    assert isinstance(found, Estimate)
    why = why_unreliable(found, 0.9, 100)
    assert why and "the rest was never, or hardly ever, shown" in why
    other = np.full_like(lists, 0)
    assert "no support" in str(estimate(log, other, ITEMS, resample))


def test_it_is_refused_where_few_weights_decide() -> None:
    log, lists, _ = world(0)
    few = Impressions(*(each[:40] for each in (log.user, log.slate, log.item, log.propensity, log.response)))
    found = estimate(few, lists[: int(few.user.max()) + 1], ITEMS, resample)
    assert isinstance(found, Estimate)
    assert "a few large weights would dominate" in str(why_unreliable(found, 0.0, 100))
