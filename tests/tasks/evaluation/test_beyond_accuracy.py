"""Coverage, novelty and diversity by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from tasks.data.histories import Histories
from tasks.evaluation.coverage import coverage
from tasks.evaluation.diversity import diversity, genre_distance, vector_distance
from tasks.evaluation.novelty import audience, information, novelty


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
    monkeypatch.setattr("tasks.evaluation.diversity._BLOCK", 100)
    assert diversity(many, distance) == pytest.approx(whole)
