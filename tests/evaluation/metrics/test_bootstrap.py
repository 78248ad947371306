"""Bootstrap over users: agreement with theory, seeds, pairs, and users with several rows."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.evaluation.metrics import bootstrap
from nightreel.evaluation.metrics.bootstrap import (
    Draws,
    draws,
    interval,
    relative_difference,
    replicate_means,
    replicate_totals,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_replicate_draws_as_many_users_as_there_are() -> None:
    weights = np.concatenate(list(draws(50, 300, rng())))
    assert weights.shape == (300, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.3)
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.1)  # multinomial with p = 1/n


def test_blocks_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    values, one = rng(1).random((40, 2)), np.ones(40)
    whole = replicate_means(values, one, 100, rng(7))
    monkeypatch.setattr(bootstrap, "_BLOCK", 130)
    assert np.allclose(replicate_means(values, one, 100, rng(7)), whole)
    assert not np.allclose(replicate_means(values, one, 100, rng(8)), whole)


def test_the_interval_of_a_share_is_that_of_theory() -> None:
    hit = (np.arange(1000) < 300).astype(float)
    found = interval(0.3, replicate_means(hit[:, None], np.ones(1000), 4000, rng())[:, 0])
    deviation = 1.96 * (0.3 * 0.7 / 1000) ** 0.5
    assert found.low == pytest.approx(0.3 - deviation, abs=0.003)
    assert found.high == pytest.approx(0.3 + deviation, abs=0.003)


def test_a_user_with_several_rows_is_drawn_as_one() -> None:
    sums, counts = np.array([[3.0], [0.0]]), np.array([3.0, 1.0])
    means = set(np.round(replicate_means(sums, counts, 200, rng())[:, 0], 9))
    assert means == {0.0, 0.75, 1.0}  # both: 3/4; the first twice: 6/6; the second twice: 0


def test_pairs_make_the_bounds_of_a_constant_gain_exact() -> None:
    base = rng(3).random(500)
    means = replicate_means(np.column_stack([1.1 * base, base]), np.ones(500), 500, rng())
    found = relative_difference(
        (1.1 * base.mean(), base.mean()), (means[:, 0], means[:, 1]), 500, confidence=0.95, margin=0.03
    )
    assert found is not None
    assert (found.low, found.point, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.users_needed <= 1


def test_users_needed_brings_the_half_width_to_half_the_margin() -> None:
    def half_width(n: int, seed: int) -> bootstrap.Difference:
        ours, theirs = rng(seed).random((2, n))
        means = replicate_means(np.column_stack([ours, theirs]), np.ones(n), 2000, rng())
        found = relative_difference(
            (ours.mean(), theirs.mean()), (means[:, 0], means[:, 1]), n, confidence=0.95, margin=0.03
        )
        assert found is not None
        return found

    few = half_width(200, 5)
    assert few.half_width > 0.03
    assert half_width(few.users_needed, 6).half_width == pytest.approx(0.015, rel=0.2)


def test_a_share_of_nothing_is_undefined_not_zero() -> None:
    nothing = (np.ones(10), np.zeros(10))
    assert relative_difference((1.0, 0.0), nothing, 5, confidence=0.95, margin=0.03) is None
    assert relative_difference((1.0, 1.0), nothing, 0, confidence=0.95, margin=0.03) is None


def test_kept_draws_give_every_figure_the_same_users() -> None:
    columns = rng(1).random((300, 3))
    kept = Draws(300, 200, rng(7))
    assert np.allclose(kept.totals(columns), replicate_totals(columns, 200, rng(7)))
    assert np.array_equal(kept.totals(columns), kept.totals(columns))


def test_the_detectable_loss_is_found_at_the_stated_power() -> None:
    """Theory: a difference of mean -d and deviation s is found if point + 1.645 s < 0, in 80% of samples at 2.486 s."""
    ours, theirs = 1 + rng(2).random(400), 1 + rng(3).random(400)
    means = replicate_means(np.column_stack([ours, theirs]), np.ones(400), 4000, rng())
    found = relative_difference(
        (ours.mean(), theirs.mean()), (means[:, 0], means[:, 1]), 400, confidence=0.95, margin=0.03
    )
    assert found is not None
    assert found.detectable == pytest.approx((1.645 + 0.842) * found.deviation, rel=1e-3)
    expected = ((ours / theirs.mean() - theirs * ours.mean() / theirs.mean() ** 2).var() / 400) ** 0.5  # delta method
    assert found.deviation == pytest.approx(expected, rel=0.05)
