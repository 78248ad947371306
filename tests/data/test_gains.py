"""Gains: how much an event says that its user took to the item, and what models, popularity and tests make of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nightreel.bundle import user_table
from nightreel.bundle.assembly import write_histories
from nightreel.bundle.format import BundleError
from nightreel.bundle.integrity.arrays import Sizes, check_arrays
from nightreel.data.contract.gains import LEAST_WEIGHT, gains_of, weights_of
from nightreel.data.histories import Histories
from nightreel.data.splits import Events, candidates, leave_last_out
from nightreel.models.baselines.popularity import decayed_counts
from nightreel.models.item_to_item import recency_weights, user_item_matrix
from nightreel.models.linear.slist import positions_matrix
from nightreel.models.training.training_positions import stacked, tail, window
from nightreel.settings import params_file
from tests.support.datasets import REPOSITORY

GAINS = np.array([0.1, 1.0, 0.6, 0.0, 0.5], np.float32)
PAST = Histories(
    np.array([0, 3, 5]), np.array([0, 1, 0, 2, 1], np.int32), np.array([1.0, 2.0, 3.0, 1.0, 4.0]), gains=GAINS
)
"""Two users: items 0, 1, 0 and 2, 1."""


def test_a_watch_gains_what_was_watched_and_the_rest_fully() -> None:
    log = pa.table({
        "event": ["watch", "watch", "watch", "like", "rating", "play"],
        "value": pa.array([0.03, None, 1.7, 0.2, 2.0, None], pa.float32()),
    })  # fmt: skip
    chosen = params_file.load(REPOSITORY / "params.yaml").validate_
    assert gains_of(log, chosen.gain).tolist() == pytest.approx([0.03, 1, 1, 1, 1, 1])
    assert gains_of(log, {"rating": "value", "play": 0.3}).tolist() == pytest.approx([1, 1, 1, 1, 0.4, 0.3])


def test_gains_stay_with_their_events() -> None:
    assert PAST.take([1, 0]).gains.tolist() == pytest.approx([0.0, 0.5, 0.1, 1.0, 0.6])  # type: ignore[union-attr]
    assert PAST.row(1).gains.tolist() == [0.0, 0.5]  # type: ignore[union-attr]
    assert PAST.before(2.5).gains.tolist() == pytest.approx([0.1, 1.0, 0.0])  # type: ignore[union-attr]
    assert stacked([PAST, PAST]).gains.tolist() == [*GAINS.tolist(), *GAINS.tolist()]  # type: ignore[union-attr]
    assert PAST.row(0).followed_by([2], [9.0], [1]).gains.tolist()[-1] == 1.0  # type: ignore[union-attr]


def test_models_weigh_events_by_gain_and_never_forget_one() -> None:
    assert weights_of(None) is None
    by_gain = LEAST_WEIGHT + (1 - LEAST_WEIGHT) * GAINS.astype(float)
    equal = replace(PAST, gains=None)
    np.testing.assert_allclose(recency_weights(PAST, 5.0), recency_weights(equal, 5.0) * by_gain)
    # The event of a pair with the largest gain counts, however often the two met.
    expected = [[by_gain[2], by_gain[1], 0.0], [0.0, by_gain[4], by_gain[3]]]
    np.testing.assert_allclose(user_item_matrix(PAST, 3).toarray(), expected, rtol=1e-6)
    assert user_item_matrix(equal, 3).toarray().tolist() == [[1, 1, 0], [0, 1, 1]]
    told, plain = (positions_matrix(each, range(-1, -3, -1), 10.0, 3).toarray() for each in (PAST, equal))
    assert plain[1, 0] == 1.0 and told[1, 0] == pytest.approx(by_gain[0])


def test_popularity_counts_gains() -> None:
    counts = decayed_counts(PAST, np.array([4.0]), np.inf, 3)
    np.testing.assert_allclose(counts[-1], [0.7, 1.5, 0.0], rtol=1e-6)


def test_only_relevant_events_are_wanted() -> None:
    assert PAST.relevant.items.tolist() == [1, 0, 1] and PAST.relevant.indptr.tolist() == [0, 2, 3]
    after = window(PAST, 1.5, np.inf)
    assert after.targets.items.tolist() == [1, 0, 1] and after.histories.items.tolist() == [0, 2]
    assert len(window(PAST, 0.5, 1.5, newcomers=True)) == 0, "nobody took to what was watched for a moment"
    last = tail(PAST, 1, 1)
    assert last.targets.items.tolist() == [0, 1] and last.histories.items.tolist() == [0, 1, 2]
    assert len(tail(replace(PAST, gains=np.zeros(5, np.float32)), 1, 1)) == 0


def test_an_event_of_little_gain_is_no_test_case() -> None:
    yes = np.ones(5, bool)
    user, item, time = np.zeros(5, np.int32), np.arange(5, dtype=np.int32), np.arange(5.0)
    relevant = np.array([True, True, False, True, False])
    events = Events(user, item, time, yes, yes, relevant)
    assert candidates(events, exclude_seen=True).tolist() == relevant.tolist()
    assert leave_last_out(events, exclude_seen=True).tolist() == [0, 1, 3, 2, 3]
    assert candidates(replace(events, relevant=None), exclude_seen=True).all()


def test_a_version_keeps_gains_and_one_without_has_none(tmp_path: Path) -> None:
    for name, histories in (("with", PAST), ("without", replace(PAST, gains=None))):
        write_histories(tmp_path / name, histories)
    kept = user_table.histories_in(tmp_path / "with")
    assert kept.gains is not None and kept.take([1, 2]).gains.tolist() == [0.0, 0.5]  # type: ignore[union-attr]
    assert user_table.histories_in(tmp_path / "without").gains is None


@pytest.mark.parametrize("wrong", [1.5, -0.1, np.nan])
def test_a_gain_out_of_range_is_told(tmp_path: Path, wrong: float) -> None:
    write_histories(tmp_path / "histories", replace(PAST, gains=np.array([*GAINS[:4], wrong], np.float32)))
    files = {f"histories/{name}.npy": {} for name in ("indptr", "items", "times", "gains")}
    with pytest.raises(BundleError, match=r"gains.npy: holds .*; a gain is from 0 to 1"):
        check_arrays(tmp_path, files, Sizes(items=3, users=2))
