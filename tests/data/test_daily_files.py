"""One file a day; old days keep their bytes when a new one comes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from nightreel.data.daily_files import DAY_MICROS, read_days, write_days
from nightreel.errors import UserError

DAY = 19_723 * DAY_MICROS  # 2024-01-01


def events(stamps: list[int]) -> pa.Table:
    return pa.table({"user_id": [f"u{n}" for n in range(len(stamps))], "timestamp": pa.array(stamps, pa.int64())})


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_a_day_ends_at_midnight_utc_and_keeps_the_sources_order(tmp_path: Path) -> None:
    names = write_days(events([DAY + DAY_MICROS, DAY + 5, DAY, DAY + DAY_MICROS - 1]), "time", tmp_path / "events")
    assert names == ["2024-01-01.parquet", "2024-01-02.parquet"]
    assert read_days(tmp_path / "events")["user_id"].to_pylist() == ["u1", "u2", "u3", "u0"]


def test_a_new_day_leaves_the_old_files_bytes_as_they_were(tmp_path: Path) -> None:
    stamps = [DAY + n * DAY_MICROS // 3 for n in range(9)]
    write_days(events(stamps), "time", tmp_path / "one")
    write_days(events([*stamps, DAY + 4 * DAY_MICROS]), "time", tmp_path / "two")
    one, two = digests(tmp_path / "one"), digests(tmp_path / "two")
    assert len(one) == 3 and len(two) == 4 and one.items() <= two.items()


def test_moments_outside_any_calendar_are_kept_for_validate(tmp_path: Path) -> None:
    names = write_days(events([-(2**62), 2**62, -1]), "time", tmp_path / "events")
    assert names == ["1900-01-01.parquet", "1969-12-31.parquet", "2999-12-31.parquet"]
    assert sorted(read_days(tmp_path / "events")["timestamp"].to_pylist()) == [-(2**62), -1, 2**62]


def test_an_order_has_one_file(tmp_path: Path) -> None:
    assert write_days(events([3, 1, 2]), "order", tmp_path / "events") == ["order.parquet"]
    assert read_days(tmp_path / "events")["timestamp"].to_pylist() == [3, 1, 2]


def test_a_cut_day_is_named(tmp_path: Path) -> None:
    write_days(events([DAY, DAY + DAY_MICROS]), "time", tmp_path / "events")
    path = tmp_path / "events/2024-01-02.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"2024-01-02.parquet: is damaged or not a Parquet file .*run snapshot again"):
        read_days(tmp_path / "events")
