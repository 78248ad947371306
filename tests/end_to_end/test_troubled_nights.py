"""Three nights of `python -m benchmarks.nights`, two of them with trouble, killed after the first and taken up again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from nightreel.store import channels, withdrawals_file
from nightreel.store.open import open_store
from tests.end_to_end.conftest import Checkout, wait_for_file
from tests.support import toy

pytestmark = pytest.mark.end_to_end
FIRST = "2026-03-16"
SCRIPT = """
nights:
  - night: 2
    troubles: [{kind: takedown, items: 5}, {kind: corrupt day}]
    expect: failed
    named: [night-0002]
  - night: 3
    troubles: [{kind: erasure, users: 3}, {kind: killed stage, stage: validate, after_s: 0}]
    expect: failed
    named: [validate, SIGKILL]
"""


@pytest.fixture(scope="module")
def ran(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The benchmark's folder, and what it printed in the end."""
    root, folder = checkout("nights"), tmp_path_factory.mktemp("nights")
    (folder / "script.yaml").write_text(SCRIPT, "utf-8")
    words = [
        *(sys.executable, "-m", "benchmarks.nights", "--folder", str(folder / "kept"), "--nights", "3"),
        *("--users", "80", "--items", "60", "--script", str(folder / "script.yaml")),
    ]
    process = subprocess.Popen(words, cwd=root, env=toy.environment(), stdout=subprocess.DEVNULL)
    try:
        wait_for_file(folder / "kept" / "replay" / "nights" / FIRST / "row.json", process)
    finally:
        own = psutil.Process(process.pid)
        family = own.children(recursive=True)
        for each in (own, *own.children()):  # and the replay
            each.send_signal(signal.SIGKILL)
        process.wait()
        psutil.wait_procs(family, timeout=60)  # guards end what the replay had started
    done = subprocess.run(words, cwd=root, env=toy.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "kept", done.stdout


def test_nothing_is_silent_or_lost_and_every_night_as_expected(ran: tuple[Path, str]) -> None:
    _, printed = ran
    assert "1 promoted" in printed and "2 failed" in printed
    assert "Nights with trouble as expected: 2 of 2; others: 1 of 1." in printed
    assert "Bad nights with a notification: 2 of 2; good nights with one: 0." in printed
    assert "Silent: 0 (must be 0)." in printed
    assert "Lost: 0 rows, 0 withdrawn items and users that came back, 0 versions (must be 0)." in printed


def test_the_replayed_clock_is_what_the_operator_is_told(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    nights = [json.loads(path.read_text()) for path in sorted((folder / "replay/state/nights").glob("*.json"))]
    assert [(night["outcome"], night["failed_stage"]) for night in nights] == [
        ("promoted", None),
        ("failed", "validate"),
        ("failed", "validate"),
    ]
    assert [night["id"][:15] for night in nights] == ["20260316-000000", "20260317-000000", "20260318-000000"]
    assert all(0 < night["ended"] - night["began"] < 3600 and night["trigger"] == "replay" for night in nights)
    told = [json.loads(line) for line in (folder / "notifications.jsonl").read_text("utf-8").splitlines()]
    assert [each["title"] for each in told] == ["Nightreel: a night went wrong"] * 2
    assert "The night of 2026-03-17 00:00 UTC failed at validate" in told[0]["message"]
    assert "The night of 2026-03-18 00:00 UTC failed at validate" in told[1]["message"]
    assert "It is the last of 2 such nights." in told[1]["message"]


def test_what_was_taken_down_is_gone_though_no_night_was_published_since(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    rows: list[dict[str, Any]] = pq.read_table(folder / "replay" / "nights.parquet").to_pylist()
    assert [row["version"] for row in rows] == [rows[0]["version"]] * 3
    store = open_store(str(folder / "replay" / "state" / "store"))
    pointer = channels.live(store)
    assert pointer is not None and pointer.digest == rows[0]["version"]
    held = withdrawals_file.read(store, pointer.withdrawals)
    assert held is not None and (held.counts["blocked"], held.counts["users"]) == (5, 3)
