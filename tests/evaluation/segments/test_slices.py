"""Slices: which rows they hold, what they score, and when one is surely broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.histories import Histories
from nightreel.durations import in_words
from nightreel.errors import UserError
from nightreel.evaluation.metrics.bootstrap import Difference, Draws, Interval
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.segments.group_exposure import group_exposure
from nightreel.evaluation.segments.slice_definitions import _born, slices_of
from nightreel.evaluation.segments.slice_tests import SliceScore, holm, score_slices
from nightreel.evaluation.segments.slices import MOST_VALUES, Slice, thirds, values
from nightreel.evaluation.test_set import build_test_set
from tests.evaluation.rankers import planted
from tests.support.settings import settings

SETTINGS = settings(evaluate={"bootstrap_replicates": 500, "slice_users": 30, "slice_confidence": 0.95}).evaluate


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def resample(columns: np.ndarray) -> np.ndarray:
    return Draws(len(columns), 500, rng()).totals(columns)


def test_thirds_hold_each_row_once_and_name_their_bounds() -> None:
    found = thirds("age", np.array([1, 2, 3, 4, 5, 6, np.nan]), lambda n: f"{n:g} days")
    assert [each.name for each in found] == ["up to 2 days", "2 days to 4 days", "over 4 days", "unknown"]
    assert np.sum([each.rows for each in found], axis=0).tolist() == [1] * 7
    assert found[0].rows.tolist() == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days"), (1e8, "1,157 days")],
)
def test_durations_are_told_in_the_largest_unit_of_which_there_are_two(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_nothing_to_tell_apart_is_no_slice() -> None:
    assert thirds("age", np.array([3.0, 3.0])) == thirds("age", np.array([np.nan])) == []
    assert values("language", [["en"], ["en"]]) == []
    assert [each.name for each in thirds("age", np.array([1.0, 1, 1, 9]))] == ["up to 1", "over 1"]


def test_values_may_overlap_and_rare_ones_share_a_slice() -> None:
    found = values("genre", [["a", "b"], ["a"], [], ["b"]])
    assert [(each.name, each.rows.tolist()) for each in found] == [
        ("a", [True, True, False, False]), ("b", [True, False, False, True]), ("unknown", [False, False, True, False]),
    ]  # fmt: skip
    many = values("genre", [[f"g{n:02}"] for n in range(MOST_VALUES + 3)])
    assert (many[-1].name, int(many[-1].rows.sum())) == ("others", 3)


def test_dimensions_of_a_data_set(tmp_path: Path) -> None:
    data = planted(tmp_path)
    full = {"published_at": pa.nulls(data.n_items, pa.timestamp("us", "UTC")), "language": ["en", "de"] * 40}
    data = type(data)(**{**vars(data), "items": pa.table({"item_id": data.item_ids} | full)})
    question = build_test_set(data, "leave_last_out", None)
    found = slices_of(data, [question], ["items.language", "events.device"])
    assert {each.by for each in found} == {
        "wanted item", "user since", "pause before", "age of wanted item", "language",
    }  # fmt: skip  # all are equally active, and there is no device in the log
    assert all(len(each.rows) == len(question) for each in found)
    item = question.truth.keys % data.n_items
    german = next(each for each in found if each.name == "de")
    assert german.rows.tolist() == (item % 2 == 1).tolist()
    head = next(each for each in found if each.name == "in the head")
    counts = np.bincount(data.positives("leave_last_out", ("train", "valid")).items, minlength=data.n_items)
    assert counts[item[head.rows]].min() > counts[item[~head.rows]].mean()
    first = data.events["time"].to_numpy()[data.events["item"].to_numpy() == 7].min()
    assert _born(data)[7] == first


@pytest.mark.parametrize("name", ["items.colour", "event.device", "items"])
def test_a_column_that_no_table_has_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"evaluate.slices: the data have no column '{name}'.*items.language"):
        slices_of(planted(tmp_path), [], [name])


def test_a_slices_figures_are_those_of_its_users_alone() -> None:
    rows = np.repeat([True, False], 100)
    ours, theirs = np.where(rows, 0.2, 0.6), np.where(rows, 0.4, 0.6)
    told = [Slice("half", "first", rows), Slice("half", "second", ~rows), Slice("half", "empty", rows & ~rows)]
    (first, second), (gap,) = score_slices(told, np.arange(200), ours, theirs, SETTINGS, resample)
    assert (first.users, first.ndcg.point, first.broken) == (100, pytest.approx(0.2), True)
    assert first.difference and first.difference.point == pytest.approx(-0.5)
    assert (second.broken, second.upper) == (False, pytest.approx(0))
    assert (gap.best, gap.worst, gap.gap.point) == ("second", "first", pytest.approx(0.4))
    assert (gap.gap.low, gap.gap.high) == pytest.approx((0.4, 0.4))


def test_users_of_several_rows_are_drawn_as_one_and_counted_once() -> None:
    users = np.repeat(np.arange(50), 2)
    (found,), _ = score_slices(
        [Slice("a", "b", np.ones(100, bool))], users, rng().random(100), None, SETTINGS, resample
    )
    assert (found.users, found.difference, found.upper) == (50, None, None)


def slice_score(point: float, deviation: float, users: int = 100) -> SliceScore:
    half = 1.645 * deviation
    difference = Difference(point, point - half, point + half, half, users, 0, deviation, 0.0)
    return SliceScore("by", f"{point}", users, Interval(0.1, 0.1, 0.1), difference, None, False)


def test_holm_steps_down_and_stops_at_the_first_that_may_be_chance() -> None:
    found = holm([slice_score(-0.05, 0.02), slice_score(-0.2, 0.02), slice_score(0.1, 0.02)], SETTINGS)
    # At 0.95: 0.05 / 3 for the surest, 0.05 / 2 for the next: normal quantiles 2.128 and 1.960.
    assert [each.upper for each in found] == pytest.approx([-0.05 + 0.0392, -0.2 + 0.04256, 0.1 + 0.0329], abs=1e-4)
    assert [each.broken for each in found] == [True, True, False]
    many = holm([slice_score(-0.05, 0.02)] + [slice_score(0.0, 0.02)] * 30, SETTINGS)
    assert not any(each.broken for each in many)  # alone among so many it may be chance


def test_a_sure_loss_within_the_margin_and_a_small_slice_stop_nothing() -> None:
    inside, small = holm([slice_score(-0.02, 0.001), slice_score(-0.5, 0.01, users=29)], SETTINGS)
    assert inside.upper is not None and inside.upper < 0
    assert not inside.broken
    assert (small.upper, small.broken) == (None, False)


def test_chance_alone_breaks_few_slices() -> None:
    """Family-wise: 20 sound slices, at most about 5% of families with a broken one."""
    draws = rng().normal(0, 0.05, (400, 20))
    families = [any(s.broken for s in holm([slice_score(p, 0.05) for p in row], SETTINGS)) for row in draws]
    assert np.mean(families) <= 0.08


def test_exposure_of_groups_by_hand() -> None:
    labels = [["x"], ["x", "y"], ["y"], []]
    truth = Truth.of(Histories.from_rows([([0], [0]), ([2], [0])]), 4)
    lists = np.array([[0, 1], [2, 3]], np.int32)
    x, y = group_exposure("creator", labels, lists, [truth], np.arange(2), resample)
    second = 1 / np.log2(3)
    total = 2 * (1 + second)
    assert x.exposure.point == pytest.approx((1 + second / 2) / total)
    assert y.exposure.point == pytest.approx((1 + second / 2) / total)
    assert (x.wanted, y.wanted, x.items) == (0.5, 0.5, 2)
    assert x.surplus.point == pytest.approx((1 + second / 2) / total - 0.5)
    assert x.exposure.low <= x.exposure.point <= x.exposure.high
    assert group_exposure("creator", [["x"]] * 4, lists, [truth], np.arange(2), resample) == []
