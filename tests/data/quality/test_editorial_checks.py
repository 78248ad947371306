"""The table `rules`: every fault is found under its name, and what changes nothing is told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from nightreel.data.contract.editorial_rules import SHAPES, kind_and_name
from nightreel.data.contract.schema import ITEMS_SCHEMA, RULES_SCHEMA, SOURCE
from nightreel.data.contract.tables import RULES
from nightreel.data.quality.editorial_checks import mark_business_rules, quarantined_warning, unmatched_warning

MONDAY, TUESDAY = dt.datetime(2026, 11, 23, tzinfo=dt.UTC), dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
ITEMS = pa.Table.from_pylist(
    [
        {"item_id": "a", "genres": ["Crime"], "creators": ["Ann"], "language": "zh-Hant-TW", "media_type": "video", "min_age": 12},
        {"item_id": "genre:x", "genres": [], "creators": [], "language": None, "media_type": "music"},
    ],
    ITEMS_SCHEMA,
)  # fmt: skip


def table(*rows: dict[str, Any]) -> pa.Table:
    full = [{**row, "source_file": "rules.csv", "source_row": n} for n, row in enumerate(rows, 1)]
    return pa.Table.from_pylist(full, pa.schema([*RULES_SCHEMA, *SOURCE]))


def fault(items: pa.Table = ITEMS, **row: Any) -> str:
    rows = table(row)
    found = mark_business_rules(rows, items).set_aside("rules", rows, private=False).to_pylist()
    return f"{found[0]['rule']} in {found[0]['column']}" if found else ""


@pytest.mark.parametrize(("row", "expected"), [
    ({"rule": "pin", "target": "a"}, ""),
    ({"rule": "pin", "target": "a", "value": 2.5, "starts_at": MONDAY, "ends_at": TUESDAY}, ""),
    ({"rule": "pin", "target": "to come"}, ""),
    ({"rule": "pin", "target": "item:genre:x"}, ""),
    ({"rule": "boost", "target": "genre:crime", "value": 1.0}, ""),
    ({"rule": "hide", "target": "creator:ann", "ends_at": MONDAY}, ""),
    ({"rule": "only", "target": "language:ZH"}, ""),
    ({"rule": "only", "target": "media_type:music"}, ""),
    ({"rule": "max_per_genre", "value": 2.0}, ""),
    ({"rule": "max_per_creator", "target": "creator:Ann", "value": 1.0}, ""),
    ({"rule": "audience_age", "value": 12.0}, ""),
    ({"rule": "value", "target": "outcome: Like", "value": -4.0}, ""),
    ({"rule": "value", "target": "outcome:likes", "value": 2.0}, "impossible value in target"),
    ({"rule": "value", "target": "genre:Crime", "value": 2.0}, "impossible value in target"),
    ({"rule": "value", "value": 2.0}, "empty cell in target"),
    ({"rule": "value", "target": "outcome:like"}, "empty cell in value"),
    ({"rule": "value", "target": "outcome:like", "value": 1001.0}, "impossible value in value"),
    ({"rule": "value", "target": "outcome:like", "value": float("nan")}, "impossible value in value"),
    ({"rule": "boost", "target": "outcome:like", "value": 0.5}, "impossible value in target"),
    ({"rule": "hdie", "target": "a"}, "unknown value in rule"),
    ({"rule": None, "target": "a"}, "empty cell in rule"),
    ({"rule": "pin"}, "empty cell in target"),
    ({"rule": "hide"}, "empty cell in target"),
    ({"rule": "hide", "target": "genre: "}, "empty cell in target"),
    ({"rule": "pin", "target": "genre:Crime"}, "impossible value in target"),
    ({"rule": "only", "target": "a"}, "impossible value in target"),
    ({"rule": "max_per_genre", "target": "creator:Ann", "value": 1.0}, "impossible value in target"),
    ({"rule": "audience_age", "target": "a", "value": 12.0}, "impossible value in target"),
    ({"rule": "max_per_creator"}, "empty cell in value"),
    ({"rule": "audience_age"}, "empty cell in value"),
    ({"rule": "max_per_genre", "value": 0.0}, "impossible value in value"),
    ({"rule": "max_per_genre", "value": 1.5}, "impossible value in value"),
    ({"rule": "audience_age", "value": 120.0}, "impossible value in value"),
    ({"rule": "boost", "target": "a", "value": 0.0}, "impossible value in value"),
    ({"rule": "boost", "target": "a", "value": 1.1}, "impossible value in value"),
    ({"rule": "hide", "target": "a", "value": 1.0}, "impossible value in value"),
    ({"rule": "pin", "target": "a", "starts_at": TUESDAY, "ends_at": MONDAY}, "impossible value in ends_at"),
    ({"rule": "pin", "target": "a", "starts_at": MONDAY, "ends_at": MONDAY}, "impossible value in ends_at"),
    ({"rule": "only", "target": "language:cs"}, "leaves no item in target"),
    ({"rule": "audience_age", "value": 11.0}, "leaves no item in value"),
])  # fmt: skip
def test_a_row_is_clean_or_at_fault_under_its_name(row: dict[str, Any], expected: str) -> None:
    assert fault(**row) == expected


def test_an_age_limit_needs_ages() -> None:
    assert fault(ITEMS.slice(1), rule="audience_age", value=99.0) == "leaves no item in value"


def test_every_rule_of_the_contract_has_its_shape() -> None:
    assert tuple(SHAPES) == RULES["rule"].choices


def test_targets() -> None:
    assert kind_and_name("genre: Sci-Fi ") == ("genre", "sci-fi") and kind_and_name("tv:12") == ("item", "tv:12")
    assert kind_and_name("item:genre:x") == ("item", "genre:x") and kind_and_name(None) == ("", "")


def test_what_no_item_is_or_has_is_told() -> None:
    rows = table({"rule": "hide", "target": "b"}, {"rule": "boost", "target": "genre:Crme"}, {"rule": "pin", "target": "a"},
                 {"rule": "max_per_genre", "value": 1.0})  # fmt: skip
    told = unmatched_warning(rows, ITEMS)
    assert told is not None and told.startswith(
        "rules: 2 of 4 have a target that matches no item (hide b, boost genre:Crme (similar: genre:Crime))."
    )
    assert unmatched_warning(rows.slice(2), ITEMS) is None and unmatched_warning(rows.slice(4), ITEMS) is None


def test_a_faulty_value_is_told_with_the_outcomes_that_there_are() -> None:
    rows = table({"rule": "value", "target": "outcome:likes", "value": 2.0}, {"rule": "hide"})
    said = quarantined_warning(mark_business_rules(rows, ITEMS).set_aside("rules", rows, private=False))
    assert said is not None and "rules.csv row 1: impossible value in `target`" in said
    assert "outcomes are wanted, watch, click, like" in said
    others = rows.slice(1)
    said = quarantined_warning(mark_business_rules(others, ITEMS).set_aside("rules", others, private=False))
    assert said is not None and "outcomes" not in said


def test_a_value_names_no_item_and_is_not_missing_one() -> None:
    assert unmatched_warning(table({"rule": "value", "target": "outcome:like", "value": 2.0}), ITEMS) is None
