"""A quote that is never closed takes no other row with it, and long texts that are rightly quoted stay whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightreel.data.ingest.file_formats import read_raw
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.sources import SourceFile

EVENTS = "user_id,item_id,timestamp,event,text,device\n"


def read(folder: Path, name: str, content: str) -> Raw:
    (folder / name).write_bytes(content.encode())
    return read_raw(SourceFile(name.split(".")[0], name, folder / name))


def plays(first: int, n: int) -> list[str]:
    return [f"u{k}@example.org,i{k % 7},{1_700_000_000 + 60 * k},play,,tv" for k in range(first, first + n)]


def searches(*texts: str) -> list[str]:
    return [f"u9@example.org,,{1_700_009_000 + k},search,{text},tv" for k, text in enumerate(texts)]


@pytest.mark.parametrize("between", [0, 1, 400])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_line_between_two_open_quotes_is_a_row(tmp_path: Path, between: int, end: str) -> None:
    rows = [*plays(0, 9), *searches('"big dams'), *plays(9, between), *searches('"slow trains'), *plays(500, 9)]
    found = read(tmp_path, "events.csv", EVENTS.strip() + end + "".join(row + end for row in rows))
    assert len(found.rows) == len(rows) and not found.broken
    assert [cell for cell in found.columns["text"].to_pylist() if cell] == [b'"big dams', b'"slow trains']
    assert "2 cells begin with a quote that is never closed, the first in line 11" in found.notes[0]


def test_a_line_that_can_not_be_told_apart_is_counted_by_its_line(tmp_path: Path) -> None:
    rows = [*plays(0, 9), *searches('"tea, coffee'), *plays(9, 30), *searches('"cups'), *plays(99, 9)]
    found = read(tmp_path, "events.csv", EVENTS + "\n".join(rows) + "\n")
    assert len(found.rows) == len(rows) - 1
    assert [(fault.row, fault.rule, fault.seen) for fault in found.broken] == [(10, "open quote", {"line": 11})]
    text = b"".join(cell or b"" for cell in found.columns["text"].to_pylist())
    assert b"example.org" not in text


def test_a_quote_before_an_id_takes_its_row_alone(tmp_path: Path) -> None:
    rows = [*plays(0, 5), '"' + plays(5, 1)[0], *plays(6, 300)]
    found = read(tmp_path, "events.csv", EVENTS + "\n".join(rows) + "\n")
    assert len(found.rows) == 305 and [(fault.row, fault.rule) for fault in found.broken] == [(6, "open quote")]


def test_an_export_that_never_quotes_keeps_its_titles(tmp_path: Path) -> None:
    rows = [f"{k}\t" + ('"Winter' if k in (20, 70, 130) else f"Film {k}") + "\tDrama" for k in range(200)]
    found = read(tmp_path, "items.tsv", "item_id\ttitle\tgenres\n" + "\n".join(rows) + "\n")
    assert len(found.rows) == 200 and found.columns["title"].to_pylist().count(b'"Winter') == 3


def test_erasures_are_not_swallowed(tmp_path: Path) -> None:
    found = read(tmp_path, "erasures.csv", "user_id\nu1\n" + '"u2\nu3\nu4"\n' + "u5\n")
    assert found.columns["user_id"].to_pylist() == [b"u1", b"u3", b"u5"] and len(found.broken) == 2


def test_texts_with_line_breaks_stay_whole(tmp_path: Path) -> None:
    story = '"Two friends, one boat\nand a map.\n\nThen, a storm: ""hold on"", she says, and they do."'
    rows = [f"{k},Film {k},{story},Drama" for k in range(50)]
    found = read(tmp_path, "items.csv", "item_id,title,description,genres\n" + "\n".join(rows) + "\n")
    assert len(found.rows) == 50 and not found.broken and not found.notes
    assert found.columns["description"][0].as_py().count(b"\n") == 3


def test_inch_marks_in_a_file_without_a_last_line_break_cut_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, "items.csv", 'item_id,title\n1,A 12" record\n2,B')
    assert found.rows.tolist() == [1, 2] and not found.broken


def test_wrapped_and_capital_column_names_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, "items.csv", 'Item_ID,TITLE,"gen\nres","my\nnote"\n1,A,Drama,x\n')
    assert {name: cells.to_pylist() for name, cells in found.columns.items()} == {
        "item_id": [b"1"], "title": [b"A"], "genres": [b"Drama"]
    }  # fmt: skip
    assert "`Item_ID` as `item_id`" in found.notes[0] and "my note" in found.notes[-1]
