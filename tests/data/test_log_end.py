"""The data end where several users' events end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import load_dataset
from nightreel.data.log_end import data_end, several
from tests.support.datasets import prepare, write_dataset

DAY = 86_400


def test_no_single_clock_is_the_end() -> None:
    users, times = np.arange(100) % 20, np.arange(100.0)
    assert data_end(users, times) == 97  # of the users' last events 99, 98, 97
    assert data_end(np.append(users, [7, 7, 7]), np.append(times, [1e6, 1e7, 1e8])) == 98
    assert data_end(np.append(users, [7, 8]), np.append(times, [1e6, 1e7])) == 99


@pytest.mark.parametrize(("users", "k"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (3000, 3), (10_000, 10)])
def test_how_many_it_takes(users: int, k: int) -> None:
    assert several(users) == k
    assert data_end(np.arange(users), np.arange(float(users))) == users - k


def test_users_without_events_and_no_events_at_all() -> None:
    assert data_end([5, 5, 5], [1.0, 3.0, 2.0]) == 3
    assert data_end([], []) == -np.inf


def test_a_device_ahead_of_all_others_in_an_old_log_moves_neither_its_end_nor_its_cuts(tmp_path: Path) -> None:
    planted = write_dataset(tmp_path / "one")
    events = pq.read_table(tmp_path / "one/events.parquet")
    ahead = events.slice(0, 1)
    late = pa.array([planted.rows[-1][2] + 200 * DAY]).cast(pa.timestamp("s")).cast(pa.timestamp("us", "UTC"))
    ahead = ahead.set_column(2, "timestamp", late)
    write_dataset(tmp_path / "two")
    pq.write_table(pa.concat_tables([events, ahead]), tmp_path / "two/events.parquet")
    before, after = (prepare(tmp_path / f"run{name}", tmp_path / name) / "data/validate" for name in ("one", "two"))
    assert load_dataset(after).data_until == load_dataset(before).data_until
    assert (after / "events.parquet").read_bytes() == (before / "events.parquet").read_bytes()
    assert (after / "splits.parquet").read_bytes() == (before / "splits.parquet").read_bytes()
    assert (
        "1 row is quarantined by the rule `outside the clock`, the first in events.parquet row 1441"
        in (after / "report.md").read_text()
    )
