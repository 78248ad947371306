"""Each rule on rows made to break it; the neighbours stay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.contract.schema import ITEMS_SCHEMA, SOURCE
from nightreel.data.quality import row_checks
from nightreel.data.quality.violations import Violations, count_rules

NOON = 1_704_110_400  # 2024-01-01 12:00 UTC
DAY = 86_400


def items(*rows: dict[str, Any]) -> pa.Table:
    full = [{"title": "T", "source_file": "items.csv", "source_row": n, **row} for n, row in enumerate(rows, start=1)]
    return pa.Table.from_pylist(full, schema=pa.schema([*ITEMS_SCHEMA, *SOURCE]))


def events(*rows: dict[str, Any]) -> pa.Table:
    base = {"user_id": "u", "item_id": "a", "event": "play", "value": None}
    full = [{**base, "timestamp": (NOON + n) * 1_000_000, **row, "source_file": "events.csv", "source_row": n}
            for n, row in enumerate(rows, start=1)]  # fmt: skip
    fields = [("user_id", pa.string()), ("item_id", pa.string()), ("timestamp", pa.int64()), ("event", pa.string()),
              ("value", pa.float32()), ("text_number", pa.int32()), ("slate_id", pa.string()), ("position", pa.int64()),
              ("propensity", pa.float64())]  # fmt: skip
    return pa.Table.from_pylist(full, schema=pa.schema([*fields, *SOURCE]))


def broken(marks: Violations, table: str, rows: pa.Table) -> list[tuple[int, str, str]]:
    found = marks.set_aside(table, rows, private=False).to_pylist()
    return [(row["source_row"], row["rule"], row["column"]) for row in found]


def mark(table: pa.Table, clock: str = "time", window_s: float = 0.0) -> list[tuple[int, str, str]]:
    return broken(
        row_checks.mark_events(table, clock, pa.array(["a", "b"]), pa.array(["q"]), window_s), "events", table
    )


@pytest.mark.parametrize(
    ("row", "rule", "column"),
    [
        ({"item_id": None}, "empty cell", "item_id"),
        ({"title": None}, "empty cell", "title"),
        ({"title": " \t"}, "empty title", "title"),
        ({"title": "a\x00b"}, "encoding", "title"),
        ({"title": "Am\ufffdlie"}, "encoding", "title"),
        ({"item_id": "x\x07"}, "encoding", "item_id"),
        ({"description": "cut\x00"}, "encoding", "description"),
        ({"media_type": "movie"}, "unknown value", "media_type"),
        ({"language": "in English"}, "impossible value", "language"),
        ({"duration_s": -1.0}, "impossible value", "duration_s"),
        (
            {"published_at": dt.datetime(2024, 2, 1), "expires_at": dt.datetime(2024, 1, 1)},
            "impossible value",
            "expires_at",
        ),
    ],
)
def test_an_item_that_breaks_a_rule_is_marked_for_it(row: dict[str, Any], rule: str, column: str) -> None:
    table = items({"item_id": "1"}, {"item_id": "2", **row}, {"item_id": "3"})
    assert broken(row_checks.mark_items(table), "items", table) == [(2, rule, column)]


def test_items_may_leave_out_all_that_is_optional_and_be_in_any_script() -> None:
    table = items(
        {"item_id": "1"},
        {
            "item_id": "2",
            "title": "霸王别姬\n(1993)",
            "language": "zh-Hant",
            "media_type": "video",
            "duration_s": 0.0,
            "published_at": dt.datetime(1922, 1, 1),
        },
    )
    assert row_checks.mark_items(table).clean.all()


def test_of_items_with_one_id_the_first_good_one_stays() -> None:
    table = items({"item_id": "1", "title": ""}, {"item_id": "1"}, {"item_id": "1"}, {"item_id": "2"})
    assert broken(row_checks.mark_items(table), "items", table) == [
        (1, "empty title", "title"), (3, "duplicate", "item_id")
    ]  # fmt: skip


@pytest.mark.parametrize(("row", "rule", "column"), [
    ({"user_id": None}, "empty cell", "user_id"),
    ({"user_id": "\ufffd"}, "encoding", "user_id"),
    ({"item_id": None}, "empty cell", "item_id"),
    ({"item_id": "z"}, "unknown item", "item_id"),
    ({"item_id": "q"}, "item in quarantine", "item_id"),
    ({"event": None}, "empty cell", "event"),
    ({"event": "Play"}, "unknown value", "event"),
    ({"event": "rating", "value": 5.5}, "impossible value", "value"),
    ({"event": "rating", "value": 0.0}, "impossible value", "value"),
    ({"event": "watch", "value": 1.01}, "impossible value", "value"),
    ({"event": "watch", "value": -0.1}, "impossible value", "value"),
    ({"value": float("inf")}, "impossible value", "value"),
    ({"propensity": 0.0}, "impossible value", "propensity"),
    ({"propensity": 1.5}, "impossible value", "propensity"),
    ({"position": -1}, "impossible value", "position"),
    ({"timestamp": 0}, "outside the clock", "timestamp"),
    ({"timestamp": 4_000_000_000_000_000}, "outside the clock", "timestamp"),
    ({"timestamp": (NOON + 1) * 1_000_000, "item_id": "b"}, "duplicate", "timestamp"),
])  # fmt: skip
def test_an_event_that_breaks_a_rule_is_marked_for_it(row: dict[str, Any], rule: str, column: str) -> None:
    table = events({"item_id": "b"}, row, *[{} for _ in range(20)])
    assert mark(table) == [(2, rule, column)]


def test_values_at_their_bounds_and_searches_without_item_are_fine() -> None:
    table = events(
        {"event": "rating", "value": 0.5},
        {"event": "rating", "value": 5.0},
        {"event": "watch", "value": 0.0},
        {"event": "watch", "value": 1.0},
        {"value": 37.0},
        {"propensity": 1.0, "position": 0},
        {"event": "search", "item_id": None, "text": "robots"},
        {"event": "follow", "item_id": None},
    )
    assert mark(table) == []


def test_duplicates_are_the_same_user_item_type_and_moment() -> None:
    same = {"timestamp": NOON * 1_000_000}
    table = events(same, same, {**same, "event": "like"}, {**same, "user_id": "v"}, {**same, "item_id": "b"}, same)
    assert mark(table) == [(2, "duplicate", "timestamp"), (6, "duplicate", "timestamp")]


def test_words_and_lists_tell_equal_events_apart() -> None:
    same = {"timestamp": NOON * 1_000_000}
    table = events(
        {**same, "event": "comment", "text_number": 0},
        {**same, "event": "comment", "text_number": 1},
        {**same, "event": "impression", "slate_id": "1"},
        {**same, "event": "impression", "slate_id": "2"},
    )
    assert mark(table) == []


def test_the_duplicate_window_is_counted_from_the_event_before() -> None:
    rows = [{"timestamp": (NOON + s) * 1_000_000} for s in (0, 5, 10, 40)]
    assert [row for row, _, _ in mark(events(*rows), window_s=5.0)] == [2, 3]
    assert mark(events(*rows), window_s=4.0) == []


def test_positions_have_no_clock_to_be_outside_of() -> None:
    assert mark(events({"timestamp": 0}, {"timestamp": 10**15}), clock="order") == []


def test_a_first_mark_stays() -> None:
    table = events({"user_id": None, "item_id": "z", "timestamp": 0}, {})
    assert mark(table) == [(1, "empty cell", "user_id")]


@pytest.mark.parametrize(("times", "last"), [
    (np.arange(100) * DAY, np.inf),
    (np.append(np.arange(100) * DAY, [99 * DAY + 364 * DAY]), np.inf),  # a year of silence is possible
    (np.append(np.arange(100) * DAY, [99 * DAY + 366 * DAY]), 99 * DAY),
    (np.append(np.arange(100) * DAY, np.arange(8000, 8050) * DAY), np.inf),  # a third of the log is no accident
    (np.arange(40) * 200 * DAY, np.inf),  # a sparse log has long silences throughout
    (np.append(np.arange(40) * 200 * DAY, [39 * 200 * DAY + 1900 * DAY]), np.inf),
    (np.append(np.arange(40) * 200 * DAY, [39 * 200 * DAY + 2100 * DAY]), 39 * 200 * DAY),
    (np.array([5.0]), np.inf),
    (np.array([]), np.inf),
])  # fmt: skip
def test_the_newest_plausible_moment_is_read_from_the_log_alone(times: Any, last: float) -> None:
    shuffled = np.random.default_rng(0).permutation(np.asarray(times, float))
    assert row_checks.newest_plausible(shuffled) == last


def test_mojibake_is_told_from_text_that_only_looks_odd() -> None:
    titles = ["AmÃ©lie", "Amélie", "Ã la carte", "å®¶å\x9a·", "São Paulo", "It’s fine", "Itâ€™s not", "霸王别姬", None]
    assert row_checks.suspected_mojibake(pa.chunked_array([titles])) == [0, 3, 6]


def test_rules_are_counted_the_most_frequent_first_with_examples() -> None:
    table = events(*[{"item_id": "z"} for _ in range(5)], {"user_id": None})
    aside = row_checks.mark_events(table, "time", pa.array(["a"]), pa.array([], pa.string()), 0.0).set_aside(
        "events", table, private=False
    )  # fmt: skip
    counted = [
        (rule, column, n, rows["source_row"].to_pylist()) for rule, column, n, rows in count_rules(aside, "events")
    ]
    assert counted == [("unknown item", "item_id", 5, [1, 2, 3]), ("empty cell", "user_id", 1, [6])]


def tail(*late: tuple[int, float], users: int = 30, days: int = 100) -> tuple[Any, Any]:
    """(users, times) of a log in which someone acts each day, and of late events (user, day)."""
    who, when = np.arange(users * 4) % users, np.repeat(np.arange(days), -(-users * 4 // days))[: users * 4]
    return np.append(who, [user for user, _ in late]), np.append(when, [day for _, day in late]) * float(DAY)


def test_a_few_clocks_that_are_ahead_of_all_others_do_not_end_the_log() -> None:
    end = float(tail()[1].max())
    for late in ([(3, 400)], [(3, 400), (3, 401), (4, 300)]):
        assert row_checks.last_of_several(*tail(*late)) == end
    for late in ([(3, 65)], [(3, 400), (4, 401), (5, 402)], []):  # no long silence; several users; nobody
        assert row_checks.last_of_several(*tail(*late)) == np.inf
    assert row_checks.last_of_several(*tail((3, 400), users=9)) == np.inf  # too few to say
    users, times = tail((3, 400))
    assert (
        row_checks.last_of_several(users, np.where(times < 400 * DAY, times * 14, times * 2.3)) == np.inf
    )  # long silences


def test_such_a_row_is_named_for_its_clock() -> None:
    users, times = tail((3, 400))
    rows = [{"user_id": f"u{u}", "timestamp": int(NOON + t) * 1_000_000} for u, t in zip(users, times, strict=True)]
    assert [found for found in mark(events(*rows)) if found[1] != "duplicate"] == [
        (len(rows), "outside the clock", "timestamp")
    ]


def test_an_impression_of_a_list_that_two_have_told_counts_once() -> None:
    """The one with the propensity, whichever came first; other users, lists, items and events are others."""
    seen = {"event": "impression", "slate_id": "s1"}
    rows = events(seen, seen | {"propensity": 0.5}, seen | {"propensity": 0.5}, seen | {"user_id": "v"},
                  seen | {"slate_id": "s2"}, seen | {"item_id": "b"}, {"event": "impression"}, {"event": "impression"},
                  {"slate_id": "s1"}, {"slate_id": "s1"})  # fmt: skip
    assert mark(rows) == [(1, row_checks.TOLD_TWICE, "slate_id"), (3, row_checks.TOLD_TWICE, "slate_id")]
    without = rows.drop_columns(["propensity"])
    assert [row for row, *_ in mark(without)] == [2, 3] and mark(rows.drop_columns(["slate_id"])) == []
    assert mark(without.slice(0, 0)) == [], "a file of a header alone, without propensities"
