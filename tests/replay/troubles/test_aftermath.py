"""The counts after a night can fail: each of them sees what it is there for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nightreel.monitoring.alerts import Alert
from nightreel.reader.reader import Reader
from nightreel.replay.troubles import aftermath
from nightreel.replay.troubles.aftermath import Lost
from nightreel.replay.troubles.delivery import Delivery
from nightreel.replay.troubles.script import Script
from nightreel.store.backends.local import LocalStore
from tests.support import bundles

SCRIPT = Script.model_validate(
    {"nights": [{"night": 2, "troubles": [{"kind": "corrupt day"}], "expect": "failed", "named": "day.parquet"}]}
)
TOLD = Alert("night", "2", "the night of 2024-02-08 failed: day.parquet is truncated.", "Copy it again.")


def test_every_delivered_row_stands_somewhere() -> None:
    events, items = pa.table({"n": range(10)}), pa.table({"n": range(4)})
    made = Delivery(
        {"events/a.parquet": events, "events/b.parquet": events, "items/a.parquet": items}, {"events/b.parquet"}
    )
    accounts = {
        "events": {"clean": 7, "quarantined": 2, "erased": 1},
        "items": {"clean": 4, "quarantined": 0, "erased": 0},
    }
    assert aftermath.lost_rows(made, accounts) == 0 and aftermath.lost_rows(made, None) == 0
    assert aftermath.lost_rows(replace(made, damaged=set()), accounts) == 10
    accounts["events"]["clean"] = 5
    assert aftermath.lost_rows(made, accounts) == 2


def test_a_version_that_is_gone_is_counted(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("versions/aa/manifest.json", b"{}")
    assert aftermath.gone(store, ["aa", "aa"]) == 0 and aftermath.gone(store, ["aa", "bb", "bb"]) == 1


@pytest.mark.parametrize(
    ("number", "outcome", "alerts", "changes"),
    [
        (2, "failed", [TOLD], {}),
        (2, "failed", [], {"as_expected": False, "unnamed": ["day.parquet"], "silent": True}),
        (2, "failed", [replace(TOLD, text="the night failed.")], {"as_expected": False, "unnamed": ["day.parquet"]}),
        (2, "promoted", [TOLD], {"as_expected": False}),
        (2, "missed", [replace(TOLD, kind="old")], {"as_expected": False, "silent": True}),
        (3, "refreshed", [], {}),
        (3, "held", [TOLD], {"as_expected": False}),
    ],
)
def test_a_night_is_compared_with_its_script(
    number: int, outcome: str, alerts: list[Alert], changes: dict[str, Any]
) -> None:
    found = aftermath.judged(SCRIPT, number, outcome, alerts, Lost())
    expected = {"as_expected": True, "unnamed": [], "silent": False} | changes
    assert {name: found[name] for name in expected} == expected


def test_lost_rows_of_a_good_night_that_nobody_tells_of_are_silent() -> None:
    assert aftermath.judged(SCRIPT, 3, "promoted", [], Lost(rows=1))["silent"]


def test_what_is_withdrawn_is_counted_where_it_shows(tmp_path: Path) -> None:
    bundles.write_bundle(tmp_path / "bundle")
    reader = Reader.open_bundle(tmp_path / "bundle")
    moment = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
    assert aftermath.came_back(reader, Delivery({}), None) == 0
    assert aftermath.came_back(reader, Delivery({}, blocked={"i000": moment}, erased={"u000": moment}), None) == 2
    assert aftermath.came_back(reader, Delivery({}, erased={"u000": moment}), b"k" * 32) == 0, "under a pseudonym"
