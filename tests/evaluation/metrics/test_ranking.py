"""Ranking metrics: hand-computed fractions, and equality with ranx on random lists."""

from __future__ import annotations

from fractions import Fraction
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightreel.data.histories import Histories
from nightreel.evaluation.metrics.ranking import METRICS, Truth, hits, per_user, repeats

N_ITEMS = 30


def truth_of(*rows: list[int], n_items: int = N_ITEMS) -> Truth:
    return Truth.of(Histories.from_rows((row, range(len(row))) for row in rows), n_items)


def scored(items: list[int], relevant: list[int], k: int) -> dict[str, float]:
    values = per_user(np.array([items], np.int32), truth_of(relevant), [k])
    return {name.partition("@")[0]: float(value[0]) for name, value in values.items()}


def test_two_of_three_found_at_ranks_1_and_4() -> None:
    found = scored([3, 9, 8, 5, 7], [3, 5, 20], 5)
    assert found["precision"] == pytest.approx(Fraction(2, 5))
    assert found["recall"] == pytest.approx(Fraction(2, 3))
    assert found["f1"] == pytest.approx(Fraction(1, 2))
    assert found["hit_rate"] == 1
    assert found["mrr"] == 1
    assert found["map"] == pytest.approx((Fraction(1, 1) + Fraction(2, 4)) / 3)
    assert found["ndcg"] == pytest.approx((1 + 1 / log2(5)) / (1 + 1 / log2(3) + 1 / log2(4)))


def test_a_hit_beyond_the_cut_off_counts_for_nothing() -> None:
    assert set(scored([1, 2, 3], [3], 2).values()) == {0.0}
    found = scored([1, 2, 3], [3], 3)
    assert found["mrr"] == pytest.approx(Fraction(1, 3))
    assert found["ndcg"] == pytest.approx(1 / log2(4))


def test_the_ideal_list_is_no_longer_than_the_cut_off() -> None:
    found = scored([1, 2], [1, 2, 3, 4, 5], 2)
    assert found["ndcg"] == pytest.approx(1)
    assert found["recall"] == pytest.approx(Fraction(2, 5))
    assert found["map"] == pytest.approx(Fraction(2, 5))


def test_a_short_list_is_judged_at_the_full_cut_off() -> None:
    found = scored([4, -1, -1], [4], 10)
    assert found["precision"] == pytest.approx(Fraction(1, 10))
    assert found["ndcg"] == found["recall"] == found["map"] == 1


def test_padding_never_hits_the_item_of_another_user() -> None:
    # -1 in row 1 would be the key of row 0's last item if padding were not masked.
    lists = np.array([[0, -1], [-1, -1]], np.int32)
    assert not hits(lists, truth_of([N_ITEMS - 1], [N_ITEMS - 1])).any()


def test_each_user_has_their_own_truth() -> None:
    values = per_user(np.array([[1, 2], [1, 2], [1, 2]], np.int32), truth_of([1], [2], [3]), [1, 2])
    assert values["recall@1"].tolist() == [1, 0, 0]
    assert values["recall@2"].tolist() == [1, 1, 0]


def test_truth_that_repeats_counts_once_and_no_truth_scores_nothing() -> None:
    values = per_user(np.array([[5], [5]], np.int32), truth_of([5, 5], []), [1])
    assert values["recall@1"].tolist() == [1, 0]
    assert values["ndcg@1"].tolist() == [1, 0]


def test_truth_of_some_rows_keeps_their_items_in_the_new_order() -> None:
    taken = truth_of([1], [2, 3], [4], []).take(np.array([2, 1]))
    assert taken.counts.tolist() == [1, 2]
    assert taken.keys.tolist() == [4, N_ITEMS + 2, N_ITEMS + 3]


def test_repeats_finds_rows_not_padding() -> None:
    assert repeats(np.array([[1, 2, 1], [1, -1, -1], [3, 2, 1]], np.int32)) == 1


def test_lists_of_other_users_are_refused() -> None:
    with pytest.raises(ValueError, match="2 lists for 1 rows of truth"):
        hits(np.zeros((2, 1), np.int32), truth_of([1]))


def distinct(least: int, most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, N_ITEMS - 1), min_size=least, max_size=most, unique=True)


@pytest.mark.end_to_end  # ranx compiles itself first
@given(st.lists(st.tuples(distinct(1, 15), distinct(1, 6)), min_size=1, max_size=8), st.sampled_from([1, 3, 5, 10, 20]))
@settings(max_examples=60, deadline=None)
def test_equals_ranx(users: list[tuple[list[int], list[int]]], k: int) -> None:
    from ranx import Qrels, Run, evaluate  # brings two hundred modules, and a compiler

    qrels = Qrels({str(u): {str(i): 1 for i in relevant} for u, (_, relevant) in enumerate(users)})
    run = Run({str(u): {str(i): 100.0 - rank for rank, i in enumerate(items)} for u, (items, _) in enumerate(users)})
    names = [f"{name}@{k}" for name in METRICS]
    expected = evaluate(qrels, run, names)
    width = max(len(items) for items, _ in users)
    lists = np.array([items + [-1] * (width - len(items)) for items, _ in users], np.int32)
    values = per_user(lists, truth_of(*[relevant for _, relevant in users]), [k])
    assert {name: float(values[name].mean()) for name in names} == pytest.approx(expected, abs=1e-12)


@given(distinct(1, 20), distinct(1, 6))
@settings(deadline=None)
def test_figures_are_shares_and_grow_with_the_cut_off(items: list[int], relevant: list[int]) -> None:
    values = per_user(np.array([items], np.int32), truth_of(relevant), [1, 5, 10, 20])
    assert all(0 <= value[0] <= 1 + 1e-12 for value in values.values())
    for name in ("recall", "hit_rate", "mrr", "map"):
        ladder = [float(values[f"{name}@{k}"][0]) for k in (1, 5, 10, 20)]
        assert ladder == sorted(ladder)
