"""Every format and compression gives the same rows; what can't be read is set aside or named."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from nightreel.data.ingest.file_formats import read_raw
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.sources import SourceFile
from nightreel.data.quality.type_tables import load
from nightreel.errors import UserError

ITEMS = [
    {"item_id": "1", "title": 'Amélie, or "Le fabuleux destin"', "genres": ["Comedy", "Sci-Fi"], "duration_s": 7320.0},
    {"item_id": "007", "title": "Two\nlines", "genres": [], "duration_s": None},
    {"item_id": "três", "title": "霸王别姬", "genres": ["Drama"], "duration_s": 10260.5},
]
EVENTS = [
    {"user_id": "1", "item_id": "1", "timestamp": "2024-01-01T10:00:00Z", "event": "rating", "value": 4.5},
    {"user_id": "2", "item_id": "007", "timestamp": "2024-01-02T10:00:00Z", "event": "play", "value": None},
]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


def as_csv(rows: list[dict[str, object]], delimiter: str = ",") -> bytes:
    flat = [{k: "|".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
    sink = pa.BufferOutputStream()
    pv.write_csv(pa.Table.from_pylist(flat), sink, pv.WriteOptions(delimiter=delimiter))
    return sink.getvalue().to_pybytes()


def as_parquet(rows: list[dict[str, object]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


WRITE: dict[str, Callable[[list[dict[str, object]]], bytes]] = {
    "csv": as_csv,
    "tsv": lambda rows: as_csv(rows, "\t"),
    "jsonl": lambda rows: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(),
    "ndjson": lambda rows: "\r\n".join(json.dumps(row) for row in rows).encode(),
    "parquet": as_parquet,
}


def raw(folder: Path, table: str, suffix: str, content: bytes) -> Raw:
    path = folder / f"{table}.{suffix}"
    path.write_bytes(content)
    return read_raw(SourceFile(table, path.name, path))


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("kind", WRITE)
def test_formats_and_compressions_agree(tmp_path: Path, kind: str, packed: str) -> None:
    raws = [raw(tmp_path, table, kind + packed, PACK[packed](WRITE[kind](rows)))
            for table, rows in (("items", ITEMS), ("events", EVENTS))]  # fmt: skip
    loaded = load(raws, "auto", None)
    assert loaded.rejected.num_rows == 0 and loaded.clock == "time"
    assert loaded.items.select(["item_id", "title", "genres", "duration_s"]).to_pylist() == ITEMS
    assert loaded.items["source_row"].to_pylist() == [1, 2, 3]
    assert loaded.events["timestamp"].to_pylist() == [1_704_103_200_000_000, 1_704_189_600_000_000]
    assert loaded.events["value"].to_pylist() == [4.5, None]


def test_rows_with_too_many_or_too_few_cells_keep_the_others_numbers(tmp_path: Path) -> None:
    found = raw(tmp_path, "items", "csv", b'item_id,title\n1,A\n2\n3,"C\nC"\n4,D,d\n\n5,E\n')
    assert found.columns["item_id"].to_pylist() == [b"1", b"3", b"5"] and found.rows.tolist() == [1, 3, 5]
    assert [(fault.row, fault.rule) for fault in found.broken] == [(2, "number of cells"), (4, "number of cells")]


@pytest.mark.parametrize("tail", [b"3", b'3,"Cut in the mid'])
def test_a_csv_cut_in_a_row_loses_that_row_and_says_so(tmp_path: Path, tail: bytes) -> None:
    found = raw(tmp_path, "items", "csv", b"item_id,title\n1,A\n2,B\n" + tail)
    assert found.rows.tolist() == [1, 2] and [fault.row for fault in found.broken] == [3]
    assert "may be truncated" in found.notes[0]


def test_a_csv_without_a_last_newline_is_whole(tmp_path: Path) -> None:
    found = raw(tmp_path, "items", "csv", b'item_id,title\n1,"A"')
    assert found.rows.tolist() == [1] and not found.broken and not found.notes


def test_odd_json_lines_are_set_aside_by_number(tmp_path: Path) -> None:
    lines = [b'{"item_id": 1, "title": "A", "tags": ["x"]}', b"", b'{"item_id": 2, "title": ', b"[1]",
             b'{"item_id": 3, "title": {"en": "C"}}', b'{"item_id": 4, "title": "\xff"}',
             b'{"item_id": 5, "title": "\\ud800"}', b'{"item_id": 6, "title": "F", "more": {"a": 1}}']  # fmt: skip
    found = raw(tmp_path, "items", "jsonl", b"\n".join(lines) + b"\n")
    assert found.columns["item_id"].to_pylist() == ["1", "6"] and found.rows.tolist() == [1, 8]
    assert [(fault.row, fault.rule) for fault in found.broken] == [
        (3, "not JSON"), (4, "not an object"), (5, "nested cell"), (6, "encoding"), (7, "encoding")
    ]  # fmt: skip
    assert "ignored columns that are not part of the contract: more" in found.notes[0]


def test_whole_and_odd_json_give_the_same_cells(tmp_path: Path) -> None:
    good = WRITE["jsonl"](EVENTS)
    (tmp_path / "odd").mkdir()
    tables = [load([raw(folder, "events", "jsonl", content), raw(folder, "items", "csv", as_csv(ITEMS))], "auto", None)
              for folder, content in ((tmp_path, good), (tmp_path / "odd", good + b"{\n"))]  # fmt: skip
    assert tables[0].events.equals(tables[1].events) and tables[1].rejected.num_rows == 1


@pytest.mark.parametrize("packed", [".gz", ".bz2", ".xz", ".zst"])
def test_a_compressed_file_cut_in_half_is_refused(tmp_path: Path, packed: str) -> None:
    content = PACK[packed](as_csv([{"item_id": str(n * n), "title": f"Title {n * 7919}"} for n in range(5000)]))
    with pytest.raises(UserError, match=rf"items\.csv\{packed}: the \{packed} stream is truncated or damaged"):
        raw(tmp_path, "items", "csv" + packed, content[: len(content) // 2])


def test_parquet_text_that_is_not_utf8_is_a_rows_fault(tmp_path: Path) -> None:
    bad = pa.array([b"fine", b"caf\xe9"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, bad.buffers())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"item_id": ["1", "2"], "title": text}), sink)
    raws = [
        raw(tmp_path, "items", "parquet", sink.getvalue().to_pybytes()),
        raw(tmp_path, "events", "csv", as_csv(EVENTS)),
    ]
    loaded = load(raws, "auto", None)
    assert loaded.items["item_id"].to_pylist() == ["1"]
    assert loaded.rejected.select(["source_row", "column"]).to_pylist() == [{"source_row": 2, "column": "title"}]
