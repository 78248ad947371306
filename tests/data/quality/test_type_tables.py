"""Typing cell by cell: what fits goes on, what doesn't is rejected with its place, and nobody can be recognised."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.contract.tables import EVENTS_TABLE, ITEMS
from nightreel.data.ingest.casting import cast_cells, cast_or_null
from nightreel.data.ingest.raw_tables import Broken, Raw
from nightreel.data.privacy import USER_ID, pseudonym
from nightreel.data.quality.type_tables import Loaded, load
from nightreel.errors import UserError

KEY = b"a key for tests"


def raw(table: str, columns: dict[str, Any], broken: list[Broken] | None = None) -> Raw:
    arrays = {name: pa.array(cells) for name, cells in columns.items()}
    n = len(next(iter(arrays.values())))
    return Raw(table, f"{table}.csv", arrays, np.arange(1, n + 1), broken or [])


def items(**more: Any) -> Raw:
    return raw("items", {"item_id": ["a", "b", "c"], "title": ["A", "B", "C"]} | more)


def events(**more: Any) -> Raw:
    return raw("events", {
        "user_id": ["ann@example.org", "bob", "ann@example.org"], "item_id": ["a", "b", "c"],
        "timestamp": ["2024-01-01", "2024-01-02", "2024-01-03"], "event": ["play"] * 3, **more,
    })  # fmt: skip


def rejected(loaded: Loaded) -> list[tuple[int, str, str]]:
    return [(row["source_row"], row["rule"], row["column"]) for row in loaded.rejected.to_pylist()]


def test_a_cell_of_the_wrong_type_takes_its_row_out_and_no_other() -> None:
    loaded = load([items(blocked=["no", "perhaps", None]), events(value=["0.5", "", "x"])], "auto", None)
    assert loaded.items["item_id"].to_pylist() == ["a", "c"] and loaded.events.num_rows == 2
    assert rejected(loaded) == [(2, "wrong type", "blocked"), (3, "wrong type", "value")]
    assert loaded.rows == {"items": 3, "events": 3, "erasures": 0, "rules": 0, "users": 0}


def test_rows_that_could_not_be_read_count_as_rows_in() -> None:
    broken = raw("events", {"user_id": ["u"], "item_id": ["a"], "timestamp": [1_704_067_200], "event": ["play"]},
                 [Broken(2, "number of cells", {"cells": 3})])  # fmt: skip
    loaded = load([items(), broken], "auto", None)
    assert (
        loaded.rows["events"] == 2 and loaded.events.num_rows == 1 and rejected(loaded) == [(2, "number of cells", "")]
    )


def test_a_missing_timestamp_is_an_empty_cell() -> None:
    loaded = load([items(), events(timestamp=["2024-01-01", None, "2024-01-03"])], "auto", None)
    assert rejected(loaded) == [(2, "empty cell", "timestamp")]


def test_pseudonyms_are_stable_keyed_and_leave_nothing_readable() -> None:
    erasures = raw("erasures", {"user_id": ["ann@example.org"], "requested_at": ["soon"]})
    bad = events(value=["1", "1", "ann@example.org"], text=["hi", "ho", "call me, Ann"])
    loaded = load([items(), bad, erasures], "auto", KEY)
    ann = pseudonym(KEY, "ann@example.org")
    assert loaded.events["user_id"].to_pylist() == [ann, pseudonym(KEY, "bob")]
    assert loaded.erasures.to_pylist()[0]["user_id"] == ann and loaded.erasures["requested_at"].to_pylist() == [None]
    assert loaded.rejected["user_id"].to_pylist() == [ann]
    shown = json.loads(loaded.rejected["row"][0].as_py())
    assert (
        shown["user_id"] == ann and shown["value"] == "[masked: aaa@aaaaaaa.aaa]" and shown["text"] == "[12 characters]"
    )
    everything = str([getattr(loaded, name).to_pylist() for name in ("events", "erasures", "rejected")])
    assert "example.org" not in everything and "bob" not in everything
    assert pseudonym(b"another key", "bob") != pseudonym(KEY, "bob")


@pytest.mark.parametrize("key", [KEY, None])
def test_a_user_id_with_control_characters_is_set_aside_whether_it_becomes_a_pseudonym_or_not(
    key: bytes | None,
) -> None:
    loaded = load([items(), events(user_id=["ann", "bo\x00b", "ann"])], "auto", key)
    assert rejected(loaded) == [(2, "encoding", "user_id")] and loaded.events.num_rows == 2


def test_a_shifted_user_id_is_not_shown_either() -> None:
    text = pa.array([b"fine", b"ok", b"J\xfcrgen 1967"], pa.binary())
    loaded = load([items(), events(user_id=text)], "auto", KEY)
    assert json.loads(loaded.rejected["row"][0].as_py())["user_id"] == "[masked: a�aaaa 9999]"
    assert rejected(loaded) == [(3, "encoding", "user_id")] and loaded.rejected["user_id"].to_pylist() == [None]


@pytest.mark.parametrize(("stamps", "setting", "clock", "first"), [
    ([0, 1, 2], "auto", "order", 0),
    (["5", "6", "7"], "auto", "order", 5),
    ([1_704_067_200] * 3, "auto", "time", 1_704_067_200_000_000),
    ([1_704_067_200_000] * 3, "auto", "time", 1_704_067_200_000_000),
    ([1_704_067_200] * 3, "order", "order", 1_704_067_200),
    ([60, 120, 180], "time", "time", 60_000_000),
    ([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 3, "auto", "time", 1_704_067_200_000_000),
])  # fmt: skip
def test_the_clock_shows_in_the_numbers_unless_it_is_set(
    stamps: list[Any], setting: str, clock: str, first: int
) -> None:
    loaded = load([items(), events(timestamp=stamps)], setting, None)
    assert loaded.clock == clock and loaded.events["timestamp"][0].as_py() == first


def test_files_of_one_table_are_stacked_and_a_missing_optional_column_is_empty() -> None:
    loaded = load([items(), events(device=["tv", "tv", "phone"]), events()], "auto", None)
    assert loaded.events["device"].to_pylist() == ["tv", "tv", "phone", None, None, None]
    assert loaded.events.column_names == ["user_id", "item_id", "timestamp", "event", "value", "device",
                                          "source_file", "source_row"]  # fmt: skip


@pytest.mark.parametrize(("column", "cells", "typed"), [
    (ITEMS["item_id"], [12.0, None, 7.5], ["12", None, "7.5"]),
    (ITEMS["item_id"], [1, 2, 3], ["1", "2", "3"]),
    (ITEMS["title"], ["nan", "", " A "], ["nan", None, " A "]),
    (ITEMS["blocked"], ["True", "0", None], [True, False, None]),
    (ITEMS["blocked"], [True, False, None], [True, False, None]),
    (ITEMS["duration_s"], ["1e3", "NaN", ".5"], [1000.0, None, 0.5]),
    (ITEMS["duration_s"], [1, 2, None], [1.0, 2.0, None]),
    (ITEMS["genres"], ["A|B| A ", "", None], [["A", "B"], [], []]),
    (ITEMS["genres"], [["A", "A", ""], [], None], [["A"], [], []]),
    (EVENTS_TABLE["position"], ["3", "4.0", None], [3, 4, None]),
])  # fmt: skip
def test_cells_become_the_contracts_types(column: Any, cells: list[Any], typed: list[Any]) -> None:
    made, bad = cast_cells(pa.array(cells), "f", column)
    assert made.to_pylist() == typed and not bad.any()


@pytest.mark.parametrize(("column", "cells"), [
    (ITEMS["duration_s"], ["1 h", "1,5", "inf", "0x10", "--1"]),
    (ITEMS["duration_s"], [float("inf")]),
    (EVENTS_TABLE["position"], ["1.5", "x"]),
    (ITEMS["blocked"], ["maybe", "2"]),
    (ITEMS["title"], [b"caf\xe9"]),
])  # fmt: skip
def test_cells_that_do_not_fit_are_marked(column: Any, cells: list[Any]) -> None:
    assert cast_cells(pa.array(cells), "f", column)[1].all()


@pytest.mark.parametrize(("column", "cells"), [
    (ITEMS["title"], [["a"]]), (ITEMS["title"], [True]), (ITEMS["genres"], [[1, 2]]), (ITEMS["duration_s"], [{"s": 1}]),
])  # fmt: skip
def test_a_column_of_another_kind_is_refused_by_name(column: Any, cells: list[Any]) -> None:
    with pytest.raises(UserError, match=rf"f: column `{column.name}` is .*; expected .*Convert it"):
        cast_cells(pa.array(cells), "f", column)


def test_casting_by_halves_loses_only_what_does_not_fit() -> None:
    cells = [str(n) for n in range(1000)]
    cells[0] = cells[499] = cells[999] = "x"
    assert cast_or_null(pa.array(cells), pa.int64()).null_count == 3


def test_what_lies_after_the_nights_now_is_set_aside_and_a_few_minutes_are_forgiven() -> None:
    now = dt.datetime(2024, 1, 2, tzinfo=dt.UTC).timestamp()
    stamps = ["2024-01-01", "2024-01-02T00:09:00Z", "2024-01-02T00:11:00Z"]
    loaded = load([items(), events(timestamp=stamps)], "auto", KEY, now=now)
    assert rejected(loaded) == [(3, "in the future", "timestamp")] and loaded.events.num_rows == 2
    row = loaded.rejected.to_pylist()[0]
    assert row["user_id"] == pseudonym(KEY, "ann@example.org") and '"timestamp": "2024-01-02 00:11:00"' in row["row"]
    assert loaded.rows["events"] == 3
    assert rejected(load([items(), events(timestamp=stamps)], "auto", None)) == []


def test_a_number_in_milliseconds_among_seconds_is_no_date_and_positions_have_no_future() -> None:
    loaded = load([items(), events(timestamp=[1_704_067_200, 1_704_067_300_000, 1_704_067_400])], "auto", None, now=2e9)
    assert rejected(loaded) == [(2, "outside the clock", "timestamp")]
    assert '"timestamp": 1704067300000' in loaded.rejected["row"][0].as_py()
    assert load([items(), events(timestamp=[0, 1, 10**7])], "auto", None, now=1.0).events.num_rows == 3


@pytest.mark.parametrize(("column", "cells", "kept", "shown"), [
    ("duration_s", ["60", "long", "\\N"], [60.0, None, None], "1 of 3 filled cells of `duration_s` .* row 2 ('long'); expected numbers from 0"),
    ("duration_s", ["-5", "1", "2"], [None, 1.0, 2.0], "row 1 ('-5')"),
    ("duration_s", ["1 h", "2 h", "3 h"], [None] * 3, "3 of 3 filled cells"),
    ("language", ["English", "eng", "en_US"], ["en", "en", "en-US"], ""),
    ("language", ["Klingonese", "zh-hant-tw", "none"], [None, "zh-Hant-TW", None], "1 of 3 filled cells of `language`"),
    ("language", ["中文", "Português (Brasil)", "fre"], ["zh", "pt", "fr"], ""),
    ("media_type", ["Video", " MUSIC", "film"], ["video", "music", None], "expected one of video, audio"),
    ("description", [b"fine", b"caf\xe9", b"#N/A"], ["fine", None, None], "1 of 3 filled cells of `description`"),
    ("description", ["None", "-", "\\N"], ["None", "-", None], ""),
    ("genres", ["A|B", b"caf\xe9", "-"], [["A", "B"], [], []], "1 of 3 filled cells of `genres`"),
    ("genres", ['["A", "B"]', '[{"id": 1, "name": "C"}]', "[]"], [["A", "B"], ["C"], []], ""),
])  # fmt: skip
def test_an_unreadable_optional_cell_costs_the_cell(column: str, cells: list[Any], kept: list[Any], shown: str) -> None:
    mixed = any(isinstance(cell, bytes) for cell in cells)
    given = pa.array([cell.encode() if mixed and isinstance(cell, str) else cell for cell in cells])
    loaded = load([items(**{column: given}), events()], "auto", KEY)
    assert loaded.items[column].to_pylist() == kept and loaded.rejected.num_rows == 0
    assert len(loaded.notes) == bool(shown)
    assert not shown or all(part in loaded.notes[0] for part in shown.split(" .* "))


def test_unreadable_cells_of_events_are_counted_without_their_content() -> None:
    more = {"device": [b"tv", b"\xff Ann", b"tv"], "position": ["1", "2", "Ann"], "propensity": ["0.5", "2", "0.1"]}
    loaded = load([items(), events(**more)], "auto", KEY)
    assert loaded.events.num_rows == 3 and len(loaded.notes) == 3 and "Ann" not in str(loaded.notes)
    assert loaded.events["propensity"].to_pylist() == [0.5, None, 0.1]


@pytest.mark.parametrize("column", ["blocked", "published_at", "expires_at", "min_age"])
def test_a_right_that_can_not_be_read_sets_the_item_aside_and_a_mark_for_no_value_does_not(column: str) -> None:
    loaded = load([items(**{column: ["\\N", "NaT", "sometime"]}), events()], "auto", None)
    assert loaded.items["item_id"].to_pylist() == ["a", "b"] and rejected(loaded) == [(3, "wrong type", column)]


@pytest.mark.parametrize(("ends", "kept"), [
    ([0, -1, 1_893_456_000], 1_893_456_000), (["0", "-1", "1893456000000"], 1_893_456_000),
    (["0", "-62135596800", "20300101"], 1_893_456_000), (["1970-01-01", "1970-01-01T05:00:00Z", "2030"], 1_893_456_000),
    (["0001-01-01T00:00:00", "1969-12-31 19:00:00-05:00", "2030-01-01"], 1_893_456_000),
])  # fmt: skip
def test_an_end_that_stands_for_none_takes_no_item_out(ends: list[Any], kept: int) -> None:
    loaded = load([items(expires_at=ends), events()], "auto", None)
    assert loaded.items["expires_at"].cast(pa.int64()).to_pylist() == [None, None, kept * 1_000_000]
    assert rejected(loaded) == []
    assert [note for note in loaded.notes if "expires_at" in note] == [
        "items.csv: 2 of 3 filled cells of `expires_at` hold what other systems write for no date, and count as empty, "
        f"the first in row 1 ({str(ends[0])!r})."
    ]


def test_a_start_before_1970_is_a_start() -> None:
    loaded = load([items(published_at=["-86400", "0", "1000000000"]), events()], "auto", None)
    assert loaded.items["published_at"].cast(pa.int64()).to_pylist() == [-86_400_000_000, None, 10**15]


def test_event_types_in_capitals_are_read() -> None:
    assert load([items(), events(event=["Play", " PLAY ", "click"])], "auto", None).events["event"].to_pylist() == [
        "play", "play", "click"
    ]  # fmt: skip


def test_labels_joined_by_other_marks_are_counted() -> None:
    loaded = load([items(genres=["Drama, Crime", "Crime; War", "Drama, War"]), events()], "auto", None)
    assert "3 of 3 cells of `genres` hold commas, semicolons, slashes or brackets and no `|`" in loaded.notes[0]
    assert load([items(genres=["Drama", "Crime, War", "Drama"]), events()], "auto", None).notes == []


def test_a_slash_joins_labels_that_stand_alone_as_well() -> None:
    genres = ["Drama/Crime", "Crime/Drama", "Drama/Crime", "Drama", "Crime"]
    many = raw("items", {"item_id": list("abcde"), "title": ["t"] * 5, "genres": genres})
    (note,) = load([many, events()], "auto", None).notes
    assert "3 of 5 cells of `genres`" in note and "'Drama/Crime'. Separate labels by `|`" in note
    own = raw("items", {"item_id": list("abcde"), "title": ["t"] * 5, "genres": ["R&B/Soul"] * 4 + ["Soul"]})
    assert load([own, events()], "auto", None).notes == []


def test_labels_have_one_unicode_form() -> None:
    loaded = load(
        [items(genres=["Come\u0301die", "Com\u00e9die", "Come\u0301die|Com\u00e9die"]), events()], "auto", None
    )
    assert loaded.items["genres"].to_pylist() == [["Com\u00e9die"]] * 3


def test_a_user_id_in_another_column_is_masked_in_what_is_stored() -> None:
    more = {
        "item_id": ["ann@example.org", "bob", "x@y.org"], "event": ["play", "bob", "play"],
        "device": ["tv", "bob", "bob "], "session_id": ["ann@example.org", "s1", "s2"],
    }  # fmt: skip
    loaded = load([items(), events(**more)], "auto", KEY)
    bob, ann = pseudonym(KEY, "bob"), pseudonym(KEY, "ann@example.org")
    assert loaded.events["item_id"].to_pylist() == [USER_ID] * 3 and loaded.events["event"][1].as_py() == USER_ID
    assert loaded.events["device"].to_pylist() == ["tv", bob, bob]
    assert loaded.events["session_id"].to_pylist() == [ann, "s1", "s2"]


def test_numbers_that_are_both_a_users_and_a_variants_stay() -> None:
    loaded = load([items(item_id=["1", "2", "3"]), events(user_id=["1", "2", "3"], item_id=["1", "2", "3"],
                                                          variant=["1", "2", "1"])], "auto", KEY)  # fmt: skip
    assert loaded.events["item_id"].to_pylist() == ["1", "2", "3"]
    assert loaded.events["variant"].to_pylist() == ["1", "2", "1"]
