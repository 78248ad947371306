"""Coverage, concentration, novelty, diversity, serendipity and popularity bias by hand."""

from __future__ import annotations

from math import log2
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightreel.data.histories import Histories
from nightreel.evaluation.beyond_accuracy import CatalogueFacts, beyond_accuracy_metrics
from nightreel.evaluation.metrics import popularity_bias
from nightreel.evaluation.metrics.concentration import exposure, gini
from nightreel.evaluation.metrics.coverage import coverage
from nightreel.evaluation.metrics.diversity import diversity, genre_distance, vector_distance
from nightreel.evaluation.metrics.novelty import audience, information, novelty
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.metrics.serendipity import serendipity
from nightreel.evaluation.test_set import build_test_set
from tests.evaluation.rankers import plain, planted


def lists(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int32)


def test_coverage_is_the_share_of_items_anyone_is_shown() -> None:
    assert coverage(lists([0, 1], [1, -1]), 8) == 2 / 8
    assert coverage(lists([-1]), 8) == 0
    assert coverage(np.empty((0, 3), np.int32), 0) == 0


def test_novelty_is_the_bits_of_how_few_know_the_item() -> None:
    known = Histories.from_rows([([0, 0, 1], [1, 2, 3]), ([0], [1]), ([0], [1]), ([0], [1])])
    count = audience(known, 3)
    assert count.tolist() == [4, 1, 0]
    bits = information(count, 4)
    assert bits.tolist() == [0, 2, 3]  # nobody counts as half a user
    assert novelty(lists([0, 1], [2, -1]), bits) == pytest.approx((0 + 2 + 3) / 3)
    assert bits[1] == -log2(1 / 4)


def test_genre_diversity_is_the_mean_jaccard_distance_of_the_pairs() -> None:
    distance = genre_distance([["a", "b"], ["b", "c"], ["d"], [], None])
    assert diversity(lists([0, 1]), distance) == pytest.approx(1 - 1 / 3)
    assert diversity(lists([0, 1, 2]), distance) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert diversity(lists([3, 4]), distance) == 0  # nothing tells them apart
    assert diversity(lists([2, 3]), distance) == 1


def test_lists_of_one_item_have_no_diversity_and_do_not_lower_the_mean() -> None:
    distance = genre_distance([["a"], ["b"]])
    assert diversity(lists([0, 1], [0, -1]), distance) == 1
    assert diversity(lists([0, -1]), distance) == 0


def test_vector_diversity_goes_from_equal_to_opposite() -> None:
    distance = vector_distance(np.array([[1, 0], [0, 1], [-1, 0], [1, 0]], np.float32))
    assert diversity(lists([0, 3]), distance) == 0
    assert diversity(lists([0, 1]), distance) == 0.5
    assert diversity(lists([0, 2]), distance) == 1


def test_blocks_do_not_change_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    many = rng.permuted(np.tile(np.arange(20, dtype=np.int32), (50, 1)), axis=1)[:, :6]
    distance = genre_distance([list(rng.choice(list("abcdef"), 2, replace=False)) for _ in range(20)])
    whole = diversity(many, distance)
    monkeypatch.setattr("nightreel.evaluation.metrics.diversity._BLOCK", 100)
    assert diversity(many, distance) == pytest.approx(whole)


def test_gini_of_exposure() -> None:
    shown = exposure(lists([0, 1], [0, -1]), 4)
    assert shown.tolist() == [2, 1, 0, 0]
    # Mean absolute difference over all 16 ordered pairs: 2·(1 + 2 + 2 + 1 + 1 + 0) / 16; halved, over the mean 3/4.
    assert gini(shown) == pytest.approx((14 / 16) / (2 * 3 / 4))
    assert gini(np.ones(7, np.int64)) == 0
    assert gini(np.array([0, 0, 0, 5])) == 3 / 4
    assert gini(np.zeros(3, np.int64)) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any))
def test_gini_is_half_the_relative_mean_absolute_difference(amounts: list[int]) -> None:
    values = np.array(amounts, np.int64)
    apart = np.abs(values[:, None] - values).mean()
    assert gini(values) == pytest.approx(apart / (2 * values.mean()))


def test_serendipity_is_wanted_and_not_what_everybody_gets() -> None:
    truth = Truth.of(Histories.from_rows([([1, 2], [0, 1]), ([5], [0]), ([3], [0])]), 9)
    found = serendipity(lists([1, 2, 8], [4, 5, -1], [3, 6, 7]), lists([1, 6, 7], [6, 7, 8], [3, 1, 2]), truth)
    assert found.tolist() == pytest.approx([1 / 3, 1 / 3, 0])
    assert serendipity(np.empty((2, 0), np.int32), lists([1], [2]), truth).tolist() == [0, 0]


def test_popularity_lift_compares_lists_with_histories() -> None:
    popularity = np.array([0.8, 0.4, 0.2])
    of_lists = popularity_bias.of_lists(lists([0, 1], [0, -1], [-1, -1]), popularity)
    of_histories = popularity_bias.of_histories(
        Histories.from_rows([([1, 2], [0, 1]), ([1], [0]), ([2], [0])]), popularity
    )
    assert of_lists[:2] == pytest.approx([0.6, 0.8])
    assert of_histories == pytest.approx([0.3, 0.4, 0.2])
    assert popularity_bias.lift(of_lists, of_histories) == pytest.approx(0.7 / 0.35 - 1)  # the empty list is left out
    assert np.isnan(popularity_bias.lift(np.array([np.nan]), np.array([0.5])))


def test_what_nothing_is_known_of_is_left_out_and_not_0(tmp_path: Path) -> None:
    data = planted(tmp_path)
    question = build_test_set(data, "leave_last_out", None)
    top = np.tile(np.arange(10, dtype=np.int32), (len(question), 1))
    bare = beyond_accuracy_metrics([question], [top], None, plain(data.n_items)["catalogue"])
    assert set(bare) == {"coverage@10", "gini@10", "novelty@10", "diversity@10", "popularity_lift@10", "repeats"}
    genres = [["x"] if n % 2 else ["y"] for n in range(data.n_items)]
    full = beyond_accuracy_metrics(
        [question], [top], [top], CatalogueFacts.of(genres, lambda: np.empty((0, 0), np.float32))
    )
    assert {"miscalibration@10", "genre_distance@10", "serendipity@10"} <= set(full)
    assert full["serendipity@10"] == 0
    assert full["coverage@10"] == 10 / data.n_items
    assert full["gini@10"] == pytest.approx(1 - 10 / data.n_items)
    assert (
        beyond_accuracy_metrics(
            [question.take(np.empty(0, np.int64))], [top[:0]], None, plain(data.n_items)["catalogue"]
        )
        == {}
    )
