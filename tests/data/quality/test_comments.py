"""Comments of a log: the sentiment of each person's last one on an item, without the person and the text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from nightreel.data.contract.schema import COMMENTS_SCHEMA, SEARCHES_SCHEMA, SNAPSHOT_SEARCHES
from nightreel.data.quality import comments as room
from nightreel.data.quality.comments import comments, searches

ROWS = [
    (0, 1, 5.0, "comment", 0.1),
    (0, 1, 9.0, "comment", 0.2),
    (0, 0, 3.0, "comment", 0.4),
    (0, -1, 4.0, "search", None),
    (1, 1, 7.0, "comment", 0.5),
    (1, 0, 3.0, "comment", 0.3),
    (1, 0, 8.0, "rating", 0.9),
    (2, 0, 1.0, "comment", ...),
    (2, 1, 1.0, "comment", None),
]


def events(rows: list[tuple[int, int, float, str, Any]]) -> pa.Table:
    """Clean events; ... for a comment without a text."""
    user, item, time, event, tone = zip(*rows, strict=True)
    return pa.table({
        "user": pa.array(user, pa.int32()), "item": pa.array(item, pa.int32()), "time": pa.array(time, pa.float64()),
        "event": pa.array(event).dictionary_encode(),
        "text_number": pa.array([None if each is ... else 0 for each in tone], pa.int32()),
        "tone": pa.array([None if each is ... else each for each in tone], pa.float32()),
    })  # fmt: skip


def told(table: pa.Table) -> list[tuple[int, float | None]]:
    assert table.schema == COMMENTS_SCHEMA
    return [(row["item"], row["tone"] and round(row["tone"], 4)) for row in table.to_pylist()]


def test_each_persons_last_comment_by_item_the_latest_last() -> None:
    wanted = [(0, 0.3), (0, 0.4), (1, None), (1, 0.5), (1, 0.2)]
    assert told(comments(events(ROWS))) == wanted
    swapped = [({0: 1, 1: 0}.get(user, user), *rest) for user, *rest in ROWS]
    assert told(comments(events(sorted(swapped, key=lambda row: (row[0], row[2]))))) == wanted, "users' numbers"


def test_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST", 2)
    rows = [(user, 0, 10.0 - user, "comment", user / 10) for user in range(5)]
    assert told(comments(events([*rows, (9, 3, 1.0, "comment", 0.9)]))) == [(0, 0.1), (0, 0.0), (3, 0.9)]


def test_a_log_without_comments() -> None:
    without = events(ROWS).drop_columns(["text_number", "tone"])
    assert told(comments(events(ROWS[3:4]))) == told(comments(without)) == []


def test_the_latest_searches_of_clean_rows_by_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "KEPT", 2)
    rows = [(0, -1, float(time), "search", None) for time in (1, 2, 3)] + [(1, -1, 5.0, "search", None)]
    words = [("b", 5), ("a", 3), ("a", 1), ("a", 2), ("a", 4), ("gone", 1)]
    table = pa.Table.from_pylist(
        [{"user_id": user, "timestamp": time * 1_000_000, "text": f"{user}{time}"} for user, time in words],
        SNAPSHOT_SEARCHES,
    )
    found = searches(table, events(rows), ["a", "b"], "time")
    assert found.schema == SEARCHES_SCHEMA
    assert found.to_pylist() == [
        {"user": 0, "time": 2.0, "text": "a2"}, {"user": 0, "time": 3.0, "text": "a3"}, {"user": 1, "time": 5.0, "text": "b5"}
    ]  # fmt: skip
    assert searches(table.slice(0, 0), events(rows), ["a", "b"], "time").num_rows == 0
