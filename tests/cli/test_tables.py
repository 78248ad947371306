"""Tables that commands read, by their endings."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.cli.tables import columns_of, kind_of, read_column, read_users

CSV = b"item_id,user_id\n007,u1\n008,u2\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.CSV", CSV),
        ("a.tsv", CSV.replace(b",", b"\t")),
        ("a.Tsv.GZ", gzip.compress(CSV.replace(b",", b"\t"), mtime=0)),
        ("a.csv.bz2", bz2.compress(CSV)),
        ("a.jsonl", b'{"item_id": "007", "user_id": "u1"}\n{"item_id": "008", "user_id": "u2"}\n'),
    ],
)
def test_every_ending_is_understood(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert columns_of(tmp_path / name) == ["item_id", "user_id"]
    assert read_column(tmp_path / name, "item_id") == ["007", "008"]
    assert read_users(tmp_path / name) == (["u1", "u2"], None)


def test_parquet_in_capitals_and_plain_lines(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": ["007"]}), tmp_path / "a.PARQUET")
    assert read_column(tmp_path / "a.PARQUET", "item_id") == ["007"]
    (tmp_path / "ids").write_text("item_id\n007\n")
    assert read_column(tmp_path / "ids", "item_id") == ["007"] and kind_of(tmp_path / "ids") == ""
