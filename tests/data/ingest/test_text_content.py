"""A file that is no text in UTF-8 is named by what it is; a header shows no cell of a row."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.ingest.file_formats import read_raw
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.sources import SourceFile
from nightreel.data.quality.type_tables import load_items
from nightreel.errors import TemporaryError, UserError

ROWS = "item_id,title\n" + "".join(f"i{n},Film {n}\n" for n in range(200))


def raw(folder: Path, content: bytes, name: str = "items.csv") -> Raw:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return read_raw(SourceFile(name.split("/")[0].split(".")[0], name, path))


class Changing(type(Path())):  # type: ignore[misc]
    """A file that changes right after its facts were looked at for the first time."""

    def __new__(cls, path: Path, how: str) -> Changing:
        return super().__new__(cls, path)  # type: ignore[no-any-return]

    def __init__(self, path: Path, how: str) -> None:
        self.how = how

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """What the file was before it changed, once."""
        facts = Path(os.fspath(self)).stat()
        how, self.how = self.how, ""
        if how == "grows":
            os.utime(self, ns=(1, 1))
        elif how == "goes":
            Path(os.fspath(self)).unlink()
        elif how:
            content = Path(os.fspath(self)).read_bytes()
            Path(os.fspath(self)).rename(f"{os.fspath(self)}.old")
            Path(os.fspath(self)).write_bytes(content)
        return facts


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"item_id": ["1"], "title": ["A"]}), out)
    return out.getvalue()


def workbook() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return out.getvalue()


@pytest.mark.parametrize(("content", "message"), [
    (ROWS.encode("utf-16"), "is encoded as UTF-16. Save it as UTF-8"),
    (ROWS.encode("utf-16-le"), "is encoded as UTF-16"), (ROWS.encode("utf-16-be"), "is encoded as UTF-16"),
    ("user_id\nJosé\n".encode("utf-16-le"), "is encoded as UTF-16"), (ROWS.encode("utf-32"), "is encoded as UTF-32"),
    (gzip.compress(ROWS.encode()), r"is compressed with gzip. Let its name end in \.gz"),
    (bz2.compress(ROWS.encode()), r"is compressed with bzip2.*\.bz2"), (lzma.compress(ROWS.encode()), r"is compressed with xz.*\.xz"),
    (pa.Codec("zstd").compress(ROWS.encode()).to_pybytes(), r"is compressed with Zstandard.*\.zst"),
    (parquet(), r"is a Parquet file. Let its name end in \.parquet"), (workbook(), "is a zip archive or an Excel workbook"),
    (b"\n<!DOCTYPE html><html><body>Log in</body></html>", "is a web page or XML"),
    (b"\0" * 10_000, "begins with 4,096 zero bytes"), (b" \n\n", "is empty"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["items.csv", "items.jsonl"])
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, message: str, name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: {message}"):
        raw(tmp_path, content, name)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"])
@pytest.mark.parametrize("first", ["PAR1", "BZh", "ORC", "Ωmega"])
def test_text_is_read_with_any_number_of_marks_and_whatever_it_begins_with(
    tmp_path: Path, mark: bytes, first: str
) -> None:
    found = raw(tmp_path, mark + f"{first},item_id,title\nx,1,A\n".encode())
    assert found.columns["item_id"].to_pylist() == [b"1"]


@pytest.mark.parametrize(("content", "message"), [
    ("u17\nu18\n", r"found \[masked\]. Put the column names into the first line, which looks like a row"),
    ('{"user_id": "u17"}\n', r"looks like JSON Lines: let its name end in \.jsonl"),
    ("sep=,\nuser_id\nu17\n", "Remove this first line"), ("# of u\nuser_id\n", "without comments before it"),
    ("user_id\trequested_at\nu17\t2026\n", "they are separated by tabs"), ("email\nann@x.org\n", "found email. Add it"),
    ("ann@x.org\n", r"found \[masked\]"), ("\x1b[31mred\n", r"found \[masked\]"),
])  # fmt: skip
def test_a_missing_column_is_explained_without_a_cell(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UserError, match=r"erasures.csv: column `user_id` .* is missing;.*") as told:
        raw(tmp_path, content.encode(), "erasures.csv")
    assert "u17" not in str(told.value) and "ann@" not in str(told.value) and "\x1b" not in str(told.value)
    assert re.search(message, str(told.value))


def test_columns_without_a_name_are_ignored_by_their_number(tmp_path: Path) -> None:
    found = raw(tmp_path, b"item_id,,title,\n1,x,A,\n2,y,B,\n")
    assert found.columns["title"].to_pylist() == [b"A", b"B"]
    assert found.notes == ["items.csv: ignored columns that are not part of the contract: column 2, column 4."]


def test_of_thousands_of_columns_a_few_are_named(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(3000)]
    (note,) = raw(tmp_path, f"item_id,title,{','.join(names)}\n1,A,{','.join('x' * 3000)}\n".encode()).notes
    assert note.endswith("… (3,000 in all).") and len(note) < 400


def test_folders_named_by_users_are_refused_without_their_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"folders are named by users.*Write user_id as a column") as told:
        raw(tmp_path, b"item_id,timestamp,event\n1,1767225600,play\n", "events/user_id=ann%40x.org/a.csv")
    assert "ann" not in str(told.value)


def test_a_file_in_another_encoding_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"items.csv: column `title` is not UTF-8 in any row. Save the file as UTF-8"):
        load_items(raw(tmp_path, "item_id,title\n1,Amélie\n2,Léon\n".encode("latin-1")))


@pytest.mark.parametrize("name", ["items.csv", "items.jsonl", "items.csv.gz", "items.parquet"])
@pytest.mark.parametrize("how", ["grows", "goes", "is replaced"])
def test_a_file_that_changes_while_it_is_read_is_told_and_may_be_read_again(
    tmp_path: Path, name: str, how: str
) -> None:
    content = {"items.csv": ROWS.encode(), "items.csv.gz": gzip.compress(ROWS.encode()), "items.parquet": parquet()}
    path = tmp_path / name
    path.write_bytes(content.get(name, b'{"item_id": 1, "title": "A"}\n'))
    file = SourceFile("items", name, Changing(path, how))
    with pytest.raises(TemporaryError, match=f"{name}: was changed or removed while it was read"):
        read_raw(file)
    if how != "goes":
        assert len(read_raw(SourceFile("items", name, path)).rows) >= 1
