"""A catalogue of which nothing may be shown stops the night; most of it hidden is a warning."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.quality import showable_items
from nightreel.errors import UserError
from tests.support.datasets import prepare, write_dataset


def source(folder: Path, **columns: list[Any]) -> Path:
    """The planted set of 80 items with columns set."""
    write_dataset(folder)
    items = pq.read_table(folder / "items.parquet")
    for name, cells in columns.items():
        kept = [column for column in items.column_names if column != name]
        items = items.select(kept).append_column(name, pa.array(cells))
    pq.write_table(items, folder / "items.parquet")
    return folder


def test_everything_blocked_stops_with_the_column_the_file_and_the_count(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        prepare(tmp_path / "run", source(tmp_path / "source", blocked=[True] * 80))
    assert str(caught.value).startswith(
        "items: none of the 80 items of items.parquet may be shown today: 80 have `blocked` true. Every list would be "
        "empty. Correct these columns"
    )
    assert not (tmp_path / "run/data/validate").exists()


def test_nothing_that_may_be_shown_tonight_stops_too(tmp_path: Path) -> None:
    far = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
    given = source(tmp_path / "source", blocked=[True] * 30 + [False] * 50, published_at=[far] * 80)
    with pytest.raises(UserError, match="30 have `blocked` true and 50 are not yet published"):
        prepare(tmp_path / "run", given)
    one = source(tmp_path / "one", published_at=[far] * 79 + [far.replace(year=2020)])
    run = prepare(tmp_path / "run", one)
    assert "79 of 80" not in (run / "data/validate/report.md").read_text(), "the hour is in no output"


def test_most_of_it_blocked_warns_and_half_of_it_does_not(tmp_path: Path) -> None:
    for count, warned in ((60, True), (40, False)):
        given = source(tmp_path / str(count), blocked=[True] * count + [False] * (80 - count))
        report = json.loads((prepare(tmp_path / f"run{count}", given) / "data/validate/report.json").read_text())
        assert (f"items: {count} of 80 have `blocked` true, so no list can hold them. Check whether that is intended."
                in report["warnings"]) is warned  # fmt: skip


def test_a_jump_since_the_last_good_night_and_what_is_hidden_by_the_hour_are_told() -> None:
    items = pa.table({"item_id": [f"i{n}" for n in range(10)], "blocked": [True] * 4 + [False] * 6})
    known = {"shown": {"items": 10, "blocked": 1}}
    assert showable_items.showable_warnings(items, [], known) == [
        "items: 4 of 10 have `blocked` true, 1 of 10 had in the last accepted night. Check whether that is intended."
    ]
    assert (
        showable_items.showable_warnings(items, [], {"shown": showable_items.remembered(items)})
        == showable_items.showable_warnings(items, [], None)
        == []
    )
    assert (
        "6 of 10 are blocked, not yet published or expired"
        in showable_items.showable_warnings(items, ["i4", "i5", "i0"], None)[0]
    )
