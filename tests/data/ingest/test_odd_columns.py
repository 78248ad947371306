"""Columns and files in forms that other systems write: read, or refused by name; never misread without a word."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.contract.tables import EVENTS_TABLE, ITEMS
from nightreel.data.ingest.casting import to_text
from nightreel.data.ingest.file_formats import read_raw
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.sources import SourceFile, open_source
from nightreel.data.ingest.timestamps import read_moments
from nightreel.data.quality.type_tables import load
from nightreel.errors import UserError
from tests.support.datasets import prepare


def raw(folder: Path, name: str, content: bytes | pa.Table) -> Raw:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content)
    return read_raw(SourceFile(name.split("/")[0].split(".")[0], name, path))


def micros(text: str) -> int:
    return int(np.datetime64(text, "us").astype(np.int64))


@pytest.mark.parametrize(("cells", "first"), [
    ([20260113073700, 20260114182528], "2026-01-13T07:37:00"),
    (["20260113073700", "20260114182528"], "2026-01-13T07:37:00"),
    ([202601130737, 202601141825], "2026-01-13T07:37:00"),
    ([20260113, 20260228], "2026-01-13"),
    (["20260113", "2026-02-28"], "2026-01-13"),
    (pa.array([20260113.0, None, 20261231.0]), "2026-01-13"),
])  # fmt: skip
def test_compact_dates_are_dates(cells: Any, first: str) -> None:
    reading = read_moments(cells if isinstance(cells, pa.Array) else pa.array(cells))
    assert reading.dated[0] and reading.micros[0] == micros(first) and not np.isfinite(reading.numbers).any()


@pytest.mark.parametrize("cells", [
    list(range(20_000_000, 20_000_400)), [20260113, 20261313, 20260199], [1_767_225_600_000], [202613010737] * 3,
])  # fmt: skip
def test_positions_and_epochs_are_no_compact_dates(cells: list[int]) -> None:
    assert not read_moments(pa.array(cells)).dated.any()


def test_a_catalogues_compact_dates_are_no_seconds(tmp_path: Path) -> None:
    items = raw(tmp_path, "items.csv", b"item_id,title,published_at\n1,A,19951215\n2,B,20010304\n")
    events = raw(tmp_path, "events.csv", b"user_id,item_id,timestamp,event\nu,1,1767225600,play\n")
    found = load([items, events], "auto", None).items["published_at"].to_pylist()
    assert found == [dt.datetime(1995, 12, 15, tzinfo=dt.UTC), dt.datetime(2001, 3, 4, tzinfo=dt.UTC)]


def test_uuids_half_floats_and_dictionaries_are_ids(tmp_path: Path) -> None:
    names = [uuid.UUID(int=n) for n in (1, 2)]
    stored = pa.array([name.bytes for name in names], pa.binary(16))
    for kind in (stored, pa.ExtensionArray.from_storage(pa.uuid(), stored)):
        found = raw(tmp_path, "items.parquet", pa.table({"item_id": kind, "title": ["A", "B"]}))
        assert found.columns["item_id"].to_pylist() == [str(name) for name in names]
    halves = pa.array(np.array([1, 2], np.float16))
    found = raw(
        tmp_path, "items.parquet", pa.table({"item_id": halves, "title": pa.array(["A"] * 2).dictionary_encode()})
    )
    assert [str(cells.type) for cells in found.columns.values()] == ["float", "string"]


def test_ids_that_a_float_has_rounded_are_refused(tmp_path: Path) -> None:
    items = raw(tmp_path, "items.csv", b"item_id,title\n1,A\n")
    for ids, message in (([1e19, 2e19], "no longer told apart"), ([1e19, 7.0], "")):
        log = {"user_id": ids, "item_id": ["1", "1"], "timestamp": [1_767_225_600] * 2, "event": ["play"] * 2}
        events = raw(tmp_path, "events.parquet", pa.table(log))
        if message:
            with pytest.raises(UserError, match=rf"events.parquet: column `user_id` .*{message}"):
                load([items, events], "auto", None)
        else:
            found = load([items, events], "auto", None)
            assert found.rejected["rule"].to_pylist() == ["inexact number"] and found.events.num_rows == 1


@pytest.mark.parametrize(("content", "message"), [
    (b'[{"item_id": 1, "title": "A"}, {"item_id": 2, "title": "B"}]', "is one JSON array, not one object a line.*jq"),
    (b'[\n{"item_id": 1, "title": "A"},\n{"item_id": 2, "title": "B"}\n]\n', "is one JSON array"),
    (b"{u'item_id': u'1'}\n{u'item_id': u'2'}\n", "none of its 2 lines is a JSON object.*Python dictionaries"),
    (b'{\n  "item_id": 1,\n  "title": "A"\n}\n', ".*one object a line, without line breaks inside"),
    (b"item_id,title\n1,A\n", r".*Write one object a line \(JSON Lines\)"),
])  # fmt: skip
def test_other_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=f"items.jsonl: {message}"):
        raw(tmp_path, "items.jsonl", content)


def test_columns_of_a_partitioned_path_are_read(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["u"], "item_id": ["1"], "timestamp": [1_767_225_600]})
    found = raw(tmp_path, "events/event=like/device=Smart%20TV/part-0.parquet", table)
    assert found.columns["event"].to_pylist() == ["like"] and found.columns["device"].to_pylist() == ["Smart TV"]
    assert raw(tmp_path, "events/event=__HIVE_DEFAULT_PARTITION__/a.parquet", table).columns["event"].null_count == 1


def test_a_row_in_another_encoding_with_too_many_cells_is_that_rows_fault(tmp_path: Path) -> None:
    found = raw(tmp_path, "items.csv", b"item_id,title\n1,A\n2,caf\xe9,x\n3,caf\xe9\n4,D\n")
    assert found.rows.tolist() == [1, 3, 4] and [fault.row for fault in found.broken] == [2]


def test_a_separator_of_two_characters_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="they are separated by `::`"):
        raw(tmp_path, "items.csv", b"item_id::title\n1::A\n")


def test_a_file_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    (tmp_path / "s/events").mkdir(parents=True)
    rows = "".join(f"u{n % 9},i{n % 5},{1_767_225_600 + n},play\n" for n in range(60))
    name = os.fsdecode(os.fsencode(tmp_path / "s/events") + b"/caf\xe9.csv")
    Path(name).write_text("user_id,item_id,timestamp,event\n" + rows)
    (tmp_path / "s/items.csv").write_text("item_id,title\n" + "".join(f"i{n},Film {n}\n" for n in range(5)))
    source = open_source(str(tmp_path / "s"), tmp_path, lambda _: None)  # type: ignore[arg-type, return-value]
    assert [file.name for file in source.files] == ["events/caf\\xe9.csv", "items.csv"]
    assert (prepare(tmp_path / "run", tmp_path / "s") / "data/validate/report.md").exists()


@pytest.mark.parametrize(("column", "cells"), [
    (EVENTS_TABLE["session_id"], pa.array([True])), (ITEMS["title"], pa.array([{"a": 1}])),
    (ITEMS["title"], pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string()))),
])  # fmt: skip
def test_columns_of_no_text_are_refused_by_name(column: Any, cells: pa.Array) -> None:
    with pytest.raises(UserError, match=f"f: column `{column.name}` is "):
        to_text(cells, "f", column)


def test_cells_in_a_damaged_header_are_not_shown(tmp_path: Path) -> None:
    found = raw(tmp_path, "erasures.csv", b'user_id,"at""ann@example.org"\nbob,x\n')
    assert found.notes == ["erasures.csv: ignored columns that are not part of the contract: [masked]."]
    found = raw(tmp_path, "erasures.csv", b"user_id,requested_atu007,2026-01-01,mood\n")  # a line break is lost
    assert found.notes == ["erasures.csv: ignored columns that are not part of the contract: [masked], mood, [masked]."]
