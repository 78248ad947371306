"""Rules that hide everything together, at any time to come, and labels in one form."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.item_facets import Facets
from nightreel.data.contract.editorial_rules import comparable, kind_and_name
from nightreel.data.contract.schema import ITEMS_SCHEMA, RULES_SCHEMA, SOURCE
from nightreel.data.quality.editorial_checks import mark_business_rules, unmatched_warning
from nightreel.data.rules_together import RulesTogether
from nightreel.errors import UserError
from tests.support.datasets import prepare, write_dataset

NFC, NFD = "Com\u00e9die", "Come\u0301die"
GENRES = (NFC, "Crime", "War", "Crime")
ITEMS = pa.Table.from_pylist(
    [
        {"item_id": f"i{n}", "genres": [genre], "creators": ["Ann"], "language": "fr-CA", "media_type": "video", "min_age": 6 * n}
        for n, genre in enumerate(GENRES)
    ],
    ITEMS_SCHEMA,
)  # fmt: skip


def day(n: int) -> dt.datetime:
    return dt.datetime(2026, 1, n, tzinfo=dt.UTC)


def rows(*own: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Rules of (rule, target, value, starts_at, ends_at), filled up with None."""
    names = ("rule", "target", "value", "starts_at", "ends_at")
    return [dict(zip(names, [*row, *[None] * (5 - len(row))], strict=True)) for row in own]


@pytest.mark.parametrize(("rules", "last"), [
    ([("hide", f"genre:{NFD}"), ("hide", "genre:crime "), ("hide", "genre:War")], [2]),
    ([("hide", f"i{n}") for n in range(4)], [3]),
    ([("hide", "genre:Crime"), ("only", "genre:crime")], [1]),
    ([("only", "genre:Crime"), ("only", "genre:War")], []),
    ([("only", "genre:Crime"), ("audience_age", None, 0)], [1]),
    ([("hide", "genre:Crime", None, day(1), day(3)), ("hide", f"genre:{NFC}"), ("hide", "genre:War", None, day(2), None)], [2]),
    ([("hide", "genre:Crime", None, day(1), day(2)), ("hide", f"genre:{NFC}"), ("hide", "genre:War", None, day(2), None)], []),
    ([("hide", "language:fr"), ("boost", "i1")], [0]),
    ([("hide", "creator:ANN")], [0]),
    ([("boost", "genre:Crime"), ("pin", "i1")], []),
])  # fmt: skip
def test_the_rule_that_takes_the_last_item_is_found(rules: list[tuple[Any, ...]], last: list[int]) -> None:
    assert RulesTogether(rows(*rules), ITEMS).too_many() == last


def test_what_is_over_does_not_count_and_blocked_items_are_not_left() -> None:
    rules = rows(("hide", "genre:Crime", None, None, day(2)), ("hide", f"genre:{NFC}"), ("hide", "genre:War"))
    assert RulesTogether(rules, ITEMS).too_many() == [2]
    assert RulesTogether(rules, ITEMS, day(2).timestamp()).too_many() == []
    blocked = ITEMS.set_column(ITEMS.column_names.index("blocked"), "blocked", pa.array([False, True, False, True]))
    assert RulesTogether(rules[1:], blocked).too_many() == [1]


def test_most_of_a_catalogue_is_a_warning() -> None:
    told = RulesTogether(rows(("hide", "genre:Crime"), ("hide", "genre:War", None, day(3), None)), ITEMS).warning()
    assert told and "together they hide 3 of 4 items from 2026-01-03 00:00 UTC on" in told
    assert RulesTogether(rows(("hide", "genre:Crime")), ITEMS).warning() is None


@pytest.mark.parametrize("target", [f"genre:{NFC}", f"Genre:{NFD}", " genre: COM\u00c9DIE ", f"GENRE:{NFD.upper()}"])
def test_a_target_in_another_form_is_known(target: str) -> None:
    table = pa.Table.from_pylist(
        [row | {"source_file": "r", "source_row": 1} for row in rows(("hide", target))],
        pa.schema([*RULES_SCHEMA, *SOURCE]),
    )
    assert mark_business_rules(table, ITEMS).clean.all() and unmatched_warning(table, ITEMS) is None
    assert kind_and_name(target) == ("genre", comparable(NFC))


def test_filters_find_labels_in_either_form(tmp_path: Path) -> None:
    pq.write_table(pa.table({"genres": [[NFC], [NFD], ["Crime"]]}), tmp_path / "items.parquet")
    for wanted in (NFC, NFD, f" {NFD.upper()} "):
        assert Facets(tmp_path / "items.parquet").holding("genres", [wanted]).tolist() == [True, True, False]


def test_an_item_that_a_rule_names_with_spaces_is_found() -> None:
    assert kind_and_name(" i1 ") == ("item", "i1") and kind_and_name("item: i1") == ("item", "i1")


def test_a_night_whose_rules_leave_nothing_stops(tmp_path: Path) -> None:
    write_dataset(tmp_path / "source")
    every = "".join(f"hide,i{n:03d}\n" for n in range(80))
    (tmp_path / "source/rules.csv").write_text(f"rule,target\n{every}")
    with pytest.raises(UserError, match=r"with rules\.csv row 80 .*i079.* no item may be shown"):
        prepare(tmp_path / "run", tmp_path / "source")


def test_a_night_keeps_rules_that_match_nothing_and_says_so_wherever_warnings_are_shown(tmp_path: Path) -> None:
    write_dataset(tmp_path / "source")
    pins = "".join(f"pin,i{n:03d},,,\n" for n in range(20))
    (tmp_path / "source/rules.csv").write_text(
        f"rule,target,value,starts_at,ends_at\nhide,genre:Sci-Fy,,,\n{pins}hide,i001,,2026-02-01,2026-01-01\n"
    )
    folder = prepare(tmp_path / "run", tmp_path / "source") / "data/validate"
    assert pq.read_table(folder / "rules.parquet").num_rows == 21
    warnings = json.loads((folder / "report.json").read_text())["warnings"]
    unmatched = "rules: 1 of 21 have a target that matches no item (hide genre:Sci-Fy (similar: genre:Sci-Fi))."
    assert any(each.startswith(unmatched) for each in warnings)
    assert any("1 faulty row has no effect" in each and "rules.csv row 22" in each for each in warnings)


def test_thousands_of_rules_are_checked_in_seconds() -> None:
    n = 20_000
    items = pa.table({"item_id": [f"i{at}" for at in range(n)], "genres": [["A"]] * n})
    rules = [(("hide", f"i{at}", None, day(1 + at % 28), None)) for at in range(n)]
    began = time.process_time()
    assert RulesTogether(rows(*rules), items).too_many() == [n - 1]
    assert time.process_time() - began < 20
