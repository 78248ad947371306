"""What users write is not stored: numbers in its place, and words of searches only where a setting wants them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data import free_text
from nightreel.data.contract.schema import SNAPSHOT_SEARCHES
from nightreel.data.daily_files import read_days
from tests.support.datasets import prepare, write_dataset

STAMP = 1_706_000_000


def events(*rows: tuple[str, str | None, str, str | None]) -> pa.Table:
    user, item, event, text = zip(*rows, strict=True)
    columns = {"user_id": user, "item_id": item, "timestamp": range(len(rows)), "event": event, "text": text}
    return pa.table(
        {name: pa.array(list(cells), None if name == "timestamp" else pa.string()) for name, cells in columns.items()}
    )


def catalogue(**more: list[list[str]]) -> pa.Table:
    empty: dict[str, list[list[str]]] = {name: [[]] for name in ("genres", "tags", "creators")}
    lists = {name: pa.array(cells, pa.list_(pa.string())) for name, cells in (empty | more).items()}
    return pa.table({"title": ["The Clinic"], "description": ["near the sea"], **lists})


def test_texts_become_numbers_and_tones() -> None:
    rows = events(
        ("a", "1", "comment", "good"), ("a", "1", "comment", "bad"), ("a", "1", "comment", "good"), ("b", "1", "comment", "bad"),
        ("a", None, "search", "bad"), ("a", "1", "play", None), ("a", "1", "comment", " "),
    )  # fmt: skip
    asked: list[str] = []
    found = free_text.without_texts(rows, lambda texts: asked.extend(texts) or [len(text) / 10 for text in texts])
    assert "text" not in found.column_names and sorted(asked) == ["bad", "good"]
    assert found["text_number"].to_pylist() == [0, 1, 0, 0, 0, None, None]
    tones = [tone and round(tone, 1) for tone in found["tone"].to_pylist()]
    assert tones == [0.4, 0.3, 0.4, 0.3, None, None, None]
    plain = rows.drop_columns("text")
    assert free_text.without_texts(plain, lambda texts: []) is plain


def test_searches_keep_words_of_the_catalogue_and_of_many() -> None:
    many = [(f"u{n}", None, "search", "Krimi heute") for n in range(free_text.WIDELY - 1)]
    own = [
        ("a", None, "search", "HIV clinic near me"),
        ("a", None, "search", "krimi von ann@example.org"),
        ("a", "1", "comment", "clinic"),
    ]
    found = free_text.searches(events(*many, *own), catalogue(tags=[["Nordic Noir"]]), [])
    assert found.schema == SNAPSHOT_SEARCHES
    told = [(row["user_id"], row["text"]) for row in found.to_pylist()]
    assert told[-2:] == [("a", "clinic"), ("a", "krimi")] and told[0] == ("u0", "krimi") and len(told) == len(many) + 2
    fewer = free_text.searches(events(*many, *own), catalogue(), ["u0"])
    assert [row["text"] for row in fewer.to_pylist()] == ["clinic"], "19 users are not many"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    planted = write_dataset(tmp_path / "source")
    folder = planted.folder
    (folder / "events").mkdir()
    (folder / "events.parquet").rename(folder / "events/1.parquet")
    written = "".join(
        f'u{n:03d},,{STAMP},search,"rocket clinic near Ann, x{n}"\nu{n:03d},,{STAMP},search,"my secret x{n}"\n'
        f'u{n:03d},i001,{STAMP},comment,"Ann and I loved every minute, {n}"\n'
        for n in range(5)
    )
    (folder / "events/2.csv").write_text(f"user_id,item_id,timestamp,event,text\n{written}")
    return folder


@pytest.mark.parametrize("kept", ["off", "words"])
def test_no_text_is_in_any_file_of_a_run(source: Path, tmp_path: Path, kept: str) -> None:
    run = prepare(tmp_path / "run", source, {"snapshot.searches": kept})
    content = str(read_days(run / "data/snapshot/events").to_pydict())
    for path in (run / "data").rglob("*.parquet"):
        if path.parent.name != "events":
            content += str(pq.read_table(path).to_pydict())
    for word in ("Ann", "ann", "secret", "clinic", "minute"):
        assert word not in content, word
    own = pq.read_table(run / "data/validate/searches.parquet").to_pylist()
    assert [row["text"] for row in own] == (["rocket"] * 5 if kept == "words" else [])
    comments = pq.read_table(run / "data/validate/comments.parquet").to_pylist()
    assert len(comments) == 5 and min(row["tone"] for row in comments) > 0.3
    report = (run / "data/validate/report.md").read_text("utf-8")
    assert "| events | 1,455 | 1,455 | 0 | 0 |" in report, "two searches at one time are no duplicate"
