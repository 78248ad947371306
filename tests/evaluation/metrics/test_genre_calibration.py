"""Genre calibration by hand, and against scipy's divergences."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from nightreel.data.histories import Histories
from nightreel.evaluation.metrics.genre_calibration import (
    SMOOTHING,
    distance,
    genre_shares,
    miscalibration,
    of_histories,
    of_lists,
)

GENRES = [["a", "b"], ["b"], None, ["a"], ["c", "c"]]


def rows(*items: list[int]) -> Histories:
    return Histories.from_rows((row, range(len(row))) for row in items)


def test_an_items_share_is_spread_evenly_over_its_genres() -> None:
    shares = genre_shares(GENRES)
    assert shares.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert genre_shares([None, []]).shape == (2, 0)


def test_histories_and_lists_are_means_over_the_items_that_have_genres() -> None:
    shares = genre_shares(GENRES)
    assert of_histories(rows([0, 1], [0, 2], []), shares).tolist() == [[1 / 4, 3 / 4, 0], [1 / 2, 1 / 2, 0], [0, 0, 0]]
    lists = np.array([[0, 3, -1], [2, -1, -1]], np.int32)
    assert of_lists(lists, shares).tolist() == [[3 / 4, 1 / 4, 0], [0, 0, 0]]


def test_a_list_of_one_genre_for_a_taste_of_two() -> None:
    p, q = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    kept = (1 - SMOOTHING) + SMOOTHING / 2
    assert miscalibration(p, q) == pytest.approx([0.5 * log(0.5 / kept) + 0.5 * log(0.5 / (SMOOTHING / 2))])
    assert miscalibration(p, p) == pytest.approx([0])
    assert distance(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == pytest.approx([1])


def test_without_genres_there_is_no_figure() -> None:
    nothing, something = np.zeros((1, 2)), np.array([[1.0, 0.0]])
    assert np.isnan(miscalibration(nothing, something)).all()
    assert np.isnan(distance(something, nothing)).all()
    assert np.isnan(miscalibration(np.zeros((3, 0)), np.zeros((3, 0)))).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_both_equal_scipys(seed: int, genres: int) -> None:
    p, q = np.random.default_rng(seed).dirichlet(np.full(genres, 0.5), (2, 5))
    assert distance(p, q) == pytest.approx(jensenshannon(p, q, base=2, axis=1), abs=1e-9)
    assert miscalibration(p, q) == pytest.approx(entropy(p, (1 - SMOOTHING) * q + SMOOTHING * p, axis=1))
