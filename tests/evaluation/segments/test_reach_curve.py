"""How far new items reach, against old ones: counts and ratios worked out by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.histories import Histories
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.segments.item_reach import FIRST, ROWS, item_reach
from nightreel.evaluation.segments.new_item_lines import item_lines
from nightreel.evaluation.segments.reach_curve import expected, like_old_from, reach_curve


def rows(*cells: tuple[str, str, bool, int, int, int, int, int, int]) -> pa.Table:
    """step, item_id, new, events, takers, took, wanted, reached, shown."""
    return pa.table([pa.array(column, kind.type) for column, kind in zip(zip(*cells, strict=True), ROWS, strict=True)],
                    schema=ROWS)  # fmt: skip


def test_counts_of_a_step() -> None:
    # ann takes a, bob takes a and b, cyd takes 21 others, of which her list has one at place 21.
    taken = [[0], [0, 1], list(range(2, 23))]
    truth = Truth.of(Histories.from_rows([(row, [0.0] * len(row)) for row in taken]), 60)
    lists = np.full((3, FIRST + 1), -1, np.int32)
    lists[0, :2], lists[1, :2], lists[2, :20], lists[2, 20] = (0, 1), (1, 59), np.arange(30, 50), 2
    ids, new = pa.array([f"i{n}" for n in range(60)]), np.arange(60) == 1
    found = item_reach("night", ids, lists, truth, np.arange(60), new).to_pylist()
    by_item = {(row["item_id"], row["took"]): row for row in found}
    counts = {key: (row["takers"], row["wanted"], row["reached"], row["shown"]) for key, row in by_item.items()}
    assert counts["i0", 1] == (2, 1, 1, 1) and counts["i0", 2] == (2, 1, 0, 0)
    assert counts["i1", 2] == (1, 1, 1, 1) and counts["i1", 1] == (1, 0, 0, 1), "shown to ann, who didn't take it"
    assert counts["i2", 21] == (1, 1, 0, 0), "place 21 does not count"
    assert counts["i59", 2] == (0, 0, 0, 1) and by_item["i59", 2]["events"] == 59
    assert [row["item_id"] for row in found if row["new"]] == ["i1", "i1"]


def test_expected_at_the_rate_of_old_items_that_as_many_took_among_users_who_took_as_many() -> None:
    found = rows(
        # Old items with one taker reach 1 of 2 of the users who took one item, and 1 of 5 of those who took 30.
        ("1", "o1", False, 90, 1, 1, 1, 1, 4), ("1", "o2", False, 80, 1, 1, 1, 0, 0),
        *(("1", f"p{n}", False, 70, 1, 21, 1, int(n == 0), 0) for n in range(5)),
        ("1", "o3", False, 60, 3, 1, 3, 3, 3),  # with two or three takers: all
        # New ones.
        ("1", "n1", True, 0, 1, 1, 1, 0, 0), ("1", "n2", True, 0, 1, 21, 1, 0, 1),
        ("2", "n1", True, 3, 2, 1, 2, 1, 2), ("2", "n3", True, 4, 9, 1, 9, 9, 9),  # nine takers: no counterpart
    )  # fmt: skip
    first, second = reach_curve(found, 50, np.random.default_rng(0))
    assert (first.label, first.items, first.wanted, first.reached) == ("0", 2, 2, 0)
    assert first.expected == pytest.approx(1 / 2 + 1 / 5) and first.compared == 2
    assert (second.label, second.items, second.wanted, second.reached) == ("2–4", 2, 11, 10)
    assert second.expected == pytest.approx(2 * 1.0) and second.compared == 2
    assert first.ratio is None and second.ratio is None, "fewer than five items"
    # 4 + 3 + 1 + 2 + 9 places; 1 + 1 + 5 + 3 + 1 + 1 + 2 + 9 interactions.
    assert (first.places, first.taken) == pytest.approx((1 / 19, 2 / 23))
    assert (second.places, second.taken) == pytest.approx((11 / 19, 11 / 23))
    assert np.isnan(expected(found)[-1]) and expected(found)[-2] == 2.0


def test_the_line_of_an_item() -> None:
    found = rows(
        ("1", "o", False, 9, 1, 1, 4, 2, 0),  # half of all
        ("1", "a", True, 0, 1, 1, 4, 1, 0), ("2", "a", True, 4, 1, 1, 2, 1, 0), ("1", "b", True, 0, 1, 1, 9, 4, 0),
        ("3", "c", True, 7, 0, 1, 0, 0, 5),  # shown, never taken
    )  # fmt: skip
    lines = item_lines(found)
    assert [line.item_id for line in lines] == ["b", "a"], "what most people took comes first"
    assert lines[0].plays is None, "4 of 9 is less than half"
    assert lines[1].plays == 4, "of two takers one was reached, which is half"
    assert [(step.events, step.wanted, step.reached, step.expected) for step in lines[1].steps] == [
        (0, 4, 1, 2.0), (4, 2, 1, 1.0)
    ]  # fmt: skip


def test_an_interval_by_item_contains_the_truth_and_is_wider_with_fewer_items() -> None:
    rng = np.random.default_rng(1)

    def world(items: int) -> pa.Table:
        old = [("1", f"o{n}", False, 99, 4, 2, 4, int(rng.binomial(4, 0.5)), 0) for n in range(400)]
        new = [("1", f"n{n}", True, 0, 4, 2, 4, int(rng.binomial(4, 0.25)), 0) for n in range(items)]
        known = [("1", f"k{n}", True, 60, 4, 2, 4, int(rng.binomial(4, 0.5)), 0) for n in range(items)]
        return rows(*old, *new, *known)

    many, few = (reach_curve(world(items), 500, np.random.default_rng(0)) for items in (300, 20))
    ratios = [point.ratio for point in (*many, *few)]
    assert None not in ratios
    (new, known, of_few, _) = (ratio for ratio in ratios if ratio is not None)
    assert new.low < 0.5 < new.high < 1.0, "half as often as old items, surely less"
    assert known.low < 1.0 < known.high
    assert of_few.high - of_few.low > 2 * (new.high - new.low)
    assert like_old_from(many) == 50


def test_old_items_alone_make_no_curve() -> None:
    assert reach_curve(rows(("1", "o", False, 9, 1, 1, 1, 1, 1)), 10, np.random.default_rng(0)) == []
    assert item_lines(rows(("1", "o", False, 9, 1, 1, 1, 1, 1))) == []


def test_where_little_is_expected_none_reached_is_no_evidence() -> None:
    old = [("1", f"o{n}", False, 99, 1, 1, 1, int(n < 2), 0) for n in range(100)]

    def ratio(items: int) -> object:
        (point,) = reach_curve(
            rows(*old, *((("1", f"n{n}", True, 0, 1, 1, 1, 0, 0)) for n in range(items))), 20, np.random.default_rng(0)
        )
        assert point.expected == pytest.approx(items * 0.02)
        return point.ratio

    assert ratio(200) is None, "four expected"
    assert ratio(300) is not None, "six expected"
