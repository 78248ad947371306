"""Choosing a list: maximal marginal relevance, caps, exploration with its propensity; by hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.index.selection import Cap, choose, freshness

RELEVANCE = np.array([1.0, 0.9, 0.5, 0.4])
ALIKE = np.array([[1.0, 0.9, 0.1, 0.0], [0.9, 1.0, 0.1, 0.0], [0.1, 0.1, 1.0, 0.8], [0.0, 0.0, 0.8, 1.0]])


def test_without_diversity_the_order_stays() -> None:
    assert choose(RELEVANCE, ALIKE, 4).places.tolist() == [0, 1, 2, 3]
    assert choose(RELEVANCE, None, 2).places.tolist() == [0, 1]
    assert choose(RELEVANCE[:0], None, 3).places.tolist() == []


def test_diversity_trades_relevance_for_distance() -> None:
    # At 0.5 the second place is worth 0.5 x 0.9 - 0.5 x 0.9 = 0, 0.5 x 0.5 - 0.05 = 0.2, or 0.5 x 0.4 - 0 = 0.2.
    assert choose(RELEVANCE, ALIKE, 3, diversity=0.5).places.tolist()[:2] == [0, 2]
    assert choose(RELEVANCE, ALIKE, 2, diversity=1.0).places.tolist() == [0, 3]


def test_caps_hold_whatever_the_scores_and_lists_get_shorter() -> None:
    cap = Cap([("a",), ("a", "b"), ("b",), ("a",)], 1)
    assert choose(RELEVANCE, None, 4, caps=[cap]).places.tolist() == [0, 2]
    assert choose(RELEVANCE, None, 4, caps=[Cap(cap.labels, 2)]).places.tolist() == [0, 1, 2]
    assert choose(RELEVANCE, None, 4, caps=[cap], first=[1]).places.tolist() == [1]


def test_what_comes_first_and_what_is_moved() -> None:
    assert choose(RELEVANCE, None, 3, first=[3, 2]).places.tolist() == [3, 2, 0]
    assert choose(RELEVANCE, None, 4, offset=np.array([-10, 0, 0, 0.5])).places.tolist() == [1, 3, 2, 0]


def test_propensities_are_the_frequencies_of_the_draw() -> None:
    counts, told = np.zeros(4), {}
    for seed in range(4000):
        chosen = choose(RELEVANCE, None, 1, explore=0.4, generator=np.random.default_rng(seed))
        counts[chosen.places[0]] += 1
        told[int(chosen.places[0])] = float(chosen.propensities[0])
    assert told == pytest.approx({0: 0.6 + 0.1, 1: 0.1, 2: 0.1, 3: 0.1})
    np.testing.assert_allclose(counts / 4000, [told[n] for n in range(4)], atol=0.025)
    assert choose(RELEVANCE, None, 4).propensities.tolist() == [1.0] * 4


def test_freshness_is_the_share_that_is_older() -> None:
    assert freshness(np.array([1990, 2000, np.nan, 2020, 2010])) == pytest.approx([0, 1 / 3, 0, 1, 2 / 3])
    assert freshness(np.array([np.nan, 2000.0])).tolist() == [0, 0]
