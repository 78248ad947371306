"""Ids in two forms: erasures reach the user who is meant, everything else is said, and nobody is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.privacy import pseudonym
from nightreel.data.quality.type_tables import Loaded, load

KEY = b"a key for tests"


def raw(table: str, **columns: list[Any]) -> Raw:
    arrays = {name: pa.array(cells) for name, cells in columns.items()}
    return Raw(table, f"{table}.csv", arrays, np.arange(1, len(next(iter(columns.values()))) + 1))


def loaded(users: list[Any], items: list[Any], known: list[Any], erased: list[str]) -> Loaded:
    n = len(users)
    events = raw(
        "events", user_id=users, item_id=items, timestamp=[1_767_225_600 + k for k in range(n)], event=["play"] * n
    )
    own = [raw("items", item_id=known, title=["A"] * len(known)), events]
    return load([*own, *([raw("erasures", user_id=erased)] if erased else [])], "auto", KEY)


@pytest.mark.parametrize("written", [" u1 ", "u1\t", "u1", "\ufeffu1", "u1\u200b", "\u00a0u1\u200f"])
def test_an_erasure_with_spaces_reaches_its_user(written: str) -> None:
    found = loaded(["u1", "u2"], ["1", "1"], ["1"], [written, "u9"])
    assert found.erasures["user_id"][0].as_py() == pseudonym(KEY, "u1")
    assert "erasures: 1 of 2 match no user" in found.notes[0] and "u9" not in found.notes[0]
    assert ("1 of 2 match a user but for spaces, `.0` or the Unicode form" in found.notes[0]) == (written != "u1")


def test_a_known_id_is_taken_as_it_is_and_an_unclear_one_too() -> None:
    found = loaded(["5", "5.0", "7", " 7"], ["1"] * 4, ["1"], ["5.0", "7 "])
    assert found.erasures["user_id"].to_pylist() == [pseudonym(KEY, "5.0"), pseudonym(KEY, "7 ")]
    assert "events: 4 of 4 user ids differ from another one by spaces, `.0` or the Unicode form alone" in found.notes[1]


@pytest.mark.parametrize(("unknown", "known", "difference"), [
    (["12.0", "13.0"], ["12", "13"], "`.0` at the end, such as '12.0' and '12'"),
    (["1", "9"], ["00001", "9", "9a"], "leading zeros, such as '1' and '00001'"),
    (["HEAT", "heat"], ["heat"], "upper and lower case, such as 'HEAT' and 'heat'"),
    ([" a"], ["a"], "spaces at the ends, such as ' a' and 'a'"),
    (["cafe\u0301"], ["caf\u00e9"], "the Unicode form"),
])  # fmt: skip
def test_unknown_items_that_are_near_are_counted(unknown: list[str], known: list[str], difference: str) -> None:
    notes = loaded(["u"] * len(unknown), unknown, known, []).notes
    n = len(set(unknown) - set(known))
    assert (
        notes == [n_ for n_ in notes if f"events: {n} of {n} unknown item ids would match" in n_]
        and difference in notes[0]
    )


def test_ids_that_nothing_is_near_to_are_not_told() -> None:
    assert loaded(["u"], ["x"], ["1"], []).notes == []


def test_an_erasure_in_the_other_unicode_form_reaches_its_user() -> None:
    found = loaded(["Jos\u00e9", "u2"], ["1", "1"], ["1"], ["Jose\u0301"])
    assert found.erasures["user_id"].to_pylist() == [pseudonym(KEY, "Jos\u00e9")]


@pytest.mark.parametrize(("erased", "difference"), [("U1", "upper and lower case"), ("007", "leading zeros")])
def test_an_erasure_that_is_near_a_user_says_by_what(erased: str, difference: str) -> None:
    (note,) = loaded(["u1", "7"], ["1", "1"], ["1"], [erased]).notes
    assert note.endswith(f"check the ids (1 would match but for {difference}).") and erased not in note


def test_ids_that_stand_for_no_user_are_told() -> None:
    (note,) = loaded(["NULL", "nan", "NULL", "u1", "0", "nana"], ["1"] * 6, ["1"], []).notes
    assert note.startswith("events: 3 rows have the user id 'NULL' or 'nan', which usually stands for no user")
    assert loaded([0, 1, 2], ["1"] * 3, ["1"], []).notes == []
