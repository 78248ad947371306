"""500 odd sources end in a result or a message; the command runs 20,000."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults.odd_sources import batch, outcome
from benchmarks.faults.odd_tables import USER, Files


@pytest.mark.end_to_end
def test_500_odd_sources_end_in_a_result_or_a_message() -> None:
    counted, faults = batch(1, 500)
    assert faults == [] and counted["result"] > 50 and counted["message"] > 50


def test_a_lost_row_would_be_found(tmp_path: Path) -> None:
    items = b"item_id,title\n1,A\n"
    events = f"user_id,item_id,timestamp,event\n{USER}1,1,1767225600,play\n".encode()
    told = outcome(Files({"items.csv": items, "events.csv": events}, {"items": 2}), tmp_path)
    assert told == "rows read and rows in the files: {'items': (1, 2)}"
