"""Choosing a list: maximal marginal relevance, caps, exploration with its propensity; by hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest

from nightreel.reader.slates.diversify import Cap, choose, freshness, inclusion

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
    """Of a list of two of the three that are not pinned: the best one gets the first place with 0.6 + 0.4 / 3, else the
    second one if it is left, with 0.6 + 0.4 / 2."""
    counts, told, draw = np.zeros(4), {}, np.random.default_rng(0)
    for _ in range(2000):
        chosen = choose(RELEVANCE, None, 3, first=[3], explore=0.4, generator=draw)
        counts[chosen.places] += 1
        told |= dict(zip(chosen.places.tolist(), chosen.propensities.tolist(), strict=True))
    best = 0.6 + 0.4 / 3
    assert told[0] == pytest.approx(best + (1 - best) * 0.8) and told[3] == 1.0
    np.testing.assert_allclose(counts / 2000, [told[n] for n in range(4)], atol=0.035)
    assert choose(RELEVANCE, None, 4).propensities.tolist() == [1.0] * 4


@pytest.mark.parametrize(("n", "places", "explore"), [(5, 3, 0.3), (4, 4, 0.2), (6, 2, 1.0), (5, 3, 0.0), (3, 0, 0.4)])
def test_inclusion_is_what_going_through_every_draw_gives(n: int, places: int, explore: float) -> None:
    expected = np.zeros(n)

    def draw(left: list[int], more: int, chance: float) -> None:
        for each in left if more else []:
            own = chance * ((1 - explore) * (each == left[0]) + explore / len(left))
            expected[each] += own
            draw([other for other in left if other != each], more - 1, own)

    draw(list(range(n)), places, 1.0)
    np.testing.assert_allclose(inclusion(n, places, explore), expected, atol=1e-12)


def test_where_places_depend_on_each_other_the_propensity_is_not_known() -> None:
    cap, draw = Cap([("a",)] * 4, 2), np.random.default_rng(0)
    for wish in ({"diversity": 0.5}, {"caps": [cap]}):
        assert np.isnan(choose(RELEVANCE, ALIKE, 2, explore=0.4, generator=draw, **wish).propensities).all()  # type: ignore[arg-type]
        assert (choose(RELEVANCE, ALIKE, 2, **wish).propensities == 1.0).all()  # type: ignore[arg-type]


def test_freshness_is_the_share_that_is_older() -> None:
    assert freshness(np.array([1990, 2000, np.nan, 2020, 2010])) == pytest.approx([0, 1 / 3, 0, 1, 2 / 3])
    assert freshness(np.array([np.nan, 2000.0])).tolist() == [0, 0]
