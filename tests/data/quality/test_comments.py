"""Comments of a log: each person's last one on an item, without the person."""

from __future__ import annotations

import pyarrow as pa
import pytest

from nightreel.data.contract.schema import COMMENTS_SCHEMA
from nightreel.data.quality import comments as room
from nightreel.data.quality.comments import comments

ROWS = [
    (0, 1, 5.0, "comment", "first thought"),
    (0, 1, 9.0, "comment", "second thought"),
    (0, 0, 3.0, "comment", "b"),
    (0, -1, 4.0, "search", "sea"),
    (1, 1, 7.0, "comment", "other"),
    (1, 0, 3.0, "comment", "a"),
    (1, 0, 8.0, "rating", "not a comment"),
    (2, 0, 1.0, "comment", "  "),
    (2, 1, 1.0, "comment", None),
]


def events(rows: list[tuple[int, int, float, str, str | None]]) -> pa.Table:
    names, kinds = (
        ("user", "item", "time", "event", "text"),
        (pa.int32(), pa.int32(), pa.float64(), pa.string(), pa.string()),
    )
    columns = [pa.array(cells, kind) for cells, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    return pa.table([columns[0], columns[1], columns[2], columns[3].dictionary_encode(), columns[4]], list(names))


def told(table: pa.Table) -> list[tuple[int, str]]:
    assert table.schema == COMMENTS_SCHEMA
    return [(row["item"], row["text"]) for row in table.to_pylist()]


def test_each_persons_last_comment_by_item_the_latest_last() -> None:
    wanted = [(0, "a"), (0, "b"), (1, "other"), (1, "second thought")]
    assert told(comments(events(ROWS))) == wanted
    swapped = [({0: 1, 1: 0}.get(user, user), *rest) for user, *rest in ROWS]
    assert told(comments(events(sorted(swapped, key=lambda row: (row[0], row[2]))))) == wanted, "users' numbers"


def test_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST", 2)
    rows = [(user, 0, 10.0 - user, "comment", f"c{user}") for user in range(5)]
    assert told(comments(events([*rows, (9, 3, 1.0, "comment", "alone")]))) == [(0, "c1"), (0, "c0"), (3, "alone")]


def test_a_log_without_comments() -> None:
    assert told(comments(events(ROWS[3:4]))) == told(comments(events(ROWS).drop_columns("text"))) == []
