"""The quarantine can be read by item, and loses nothing of an item's id."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightreel.data.contract.schema import SET_ASIDE
from nightreel.data.privacy import USER_ID
from nightreel.stage import read_json
from nightreel.withdrawals.rights_tonight import read_rights
from tests.support.datasets import prepare, write_dataset

LONG = "a-long-id-of-an-item/" * 5
CHANGES = {"snapshot.pseudonymise": "on", "validate.quarantine_share": 0.5, "validate.part_rows": 10_000}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night with a blocked item whose row can't be read, and events of it, of no item and with a user's id."""
    root = tmp_path_factory.mktemp("quarantine")
    planted = write_dataset(root / "source", users=30, events=720)
    (root / "source/items.parquet").rename(root / "source/items-1.parquet")
    (root / "source/items-2.csv").write_text(f"item_id,title,blocked,published_at\n{LONG},Long,true,soon\n")
    events = pq.read_table(root / "source/events.parquet")
    more = events.slice(0, 4).set_column(1, "item_id", pa.array([LONG, "i999", "9", planted.user_ids[3]]))
    pq.write_table(pa.concat_tables([events, more]), root / "source/events.parquet")
    return prepare(root / "run", root / "source", CHANGES)


def test_quarantined_rows_are_found_by_their_item(run: Path) -> None:
    quarantine = pq.read_table(run / "data/validate/quarantine.parquet")
    assert quarantine.schema == SET_ASIDE
    rules = {
        (row["table"], row["item_id"]): row["rule"]
        for row in quarantine.to_pylist()
        if row["item_id"] in (LONG, "i999", "9", USER_ID)
    }
    assert rules == {
        ("items", LONG): "wrong type", ("events", LONG): "item in quarantine", ("events", "i999"): "unknown item",
        ("events", "9"): "unknown item", ("events", USER_ID): "unknown item",
    }  # fmt: skip
    (row,) = quarantine.filter(pc.equal(quarantine["item_id"], "9"))["row"].to_pylist()
    assert '"item_id": "9"' in row and "[masked" not in row


def test_a_blocked_item_whose_row_can_not_be_read_is_blocked_whatever_its_id(run: Path) -> None:
    snapshot = run / "data/snapshot"
    rights = read_rights(snapshot, read_json(snapshot / "source.json"), 2e9)
    assert rights.items.blocked == (LONG,) and LONG in rights.items.unread


def test_an_erasure_that_can_not_be_read_is_told_even_if_it_is_one_of_many(tmp_path: Path) -> None:
    write_dataset(tmp_path / "source", users=30, events=720)
    asked = "".join(f"gone{n},2026-01-01\n" for n in range(40))
    (tmp_path / "source/erasures.csv").write_text(f"user_id,requested_at\nu001,2026-01-01,by mail\n{asked}")
    report = (prepare(tmp_path / "run", tmp_path / "source") / "data/validate/report.md").read_text()
    assert "1 of 41 requests can't be read, so nothing is erased for them, the first in erasures.csv row 1" in report
