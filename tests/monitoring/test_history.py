"""The history of nights: what is written when a night begins and ends, and what a killed one becomes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nightreel.monitoring import history
from nightreel.monitoring.conclusion import conclusion, outcome_of
from nightreel.monitoring.night import StageTime
from nightreel.orchestration.lock import exclusive
from nightreel.stage import write_json
from nightreel.store.fence import run_lock


def test_a_night_is_running_while_it_holds_the_lock_and_stopped_when_it_is_gone(tmp_path: Path) -> None:
    with exclusive(run_lock(tmp_path), "a run"):
        night = history.begin(tmp_path, "schedule")
        assert [(each.id, each.outcome) for each in history.nights(tmp_path)] == [(night.id, "running")]
    (gone,) = history.nights(tmp_path)
    assert gone.outcome == "stopped" and "killed" in gone.reason and gone.ended is not None
    with exclusive(run_lock(tmp_path), "a run"):  # the lock of a later run is not this night's
        assert [each.outcome for each in history.nights(tmp_path)] == ["stopped"]


def test_a_killed_process_leaves_a_night_that_is_stopped_at_its_last_sign_of_life(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from nightreel.monitoring import history\n"
        "from nightreel.orchestration.lock import exclusive; from nightreel.store.fence import run_lock\n"
        "state = Path(sys.argv[1])\n"
        "with exclusive(run_lock(state), 'a run'):\n"
        "    night = history.begin(state, 'terminal'); print('begun', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        assert history.nights(tmp_path)[0].outcome == "running"
        process.kill()
    os.utime(history.path(tmp_path, history.nights(tmp_path)[0]), (1000.0, 1000.0))
    (night,) = history.nights(tmp_path)
    assert night.outcome == "stopped" and night.ended == pytest.approx(1000.0, abs=5.0)


def test_what_a_night_ends_with_is_kept_and_the_oldest_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT", 2)
    for hour in range(3):
        facts = {"began": 3600.0 * hour, "outcome": "promoted", "reason": f"night {hour}"}
        history.add(tmp_path, "dvc repro", facts)
    assert [night.reason for night in history.nights(tmp_path)] == ["night 2", "night 1"]
    assert [night.reason for night in history.nights(tmp_path, 1)] == ["night 2"]


def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    history.add(tmp_path, "terminal", {"began": time.time(), "outcome": "held"})
    (tmp_path / "nights" / "20000101-000000-1.json").write_text("{")
    assert [night.outcome for night in history.nights(tmp_path)] == ["held"]


@pytest.mark.parametrize(
    ("receipt", "moved", "outcome"),
    [
        ({"decision": "promote", "published": True, "label": "better"}, True, "promoted"),
        ({"decision": "promote", "published": True, "label": "better"}, False, "unchanged"),
        ({"decision": "reject", "published": True, "label": "refreshed"}, True, "refreshed"),
        ({"decision": "hold", "published": True, "label": "refreshed"}, True, "refreshed"),
        ({"decision": "reject", "published": False, "reason": "…"}, False, "rejected"),
        ({"decision": "hold", "published": False, "reason": "…"}, False, "held"),
        ({"decision": "promote", "published": False, "reason": "no item may be shown"}, False, "empty"),
        ({"decision": "promote", "published": False, "dry_run": True}, False, "dry run"),
    ],
)
def test_the_outcome_is_what_the_receipt_says(receipt: dict[str, object], moved: bool, outcome: str) -> None:
    assert outcome_of(receipt, moved=moved) == outcome


def test_the_conclusion_is_read_from_the_stages_files(tmp_path: Path) -> None:
    data, state = tmp_path / "data", tmp_path / "state"
    write_json(data / "snapshot/source.json", {"name": "films"})
    write_json(data / "snapshot/recipe.json", {"recipe": "r1"})
    write_json(data / "validate/splits.json", {"clock": "time", "data_until": 99.0})
    write_json(data / "validate/report.json", {"tables": {"events": {"in": 10, "clean": 8, "quarantined": 2}}})
    intervals = {"blend": {"ndcg@10": [0.2, 0.1, 0.3]}}
    verdict = {"gate": "global_time", "model": "blend", "sentence": "Promoted.", "intervals": intervals}
    write_json(data / "evaluate/verdict.json", verdict)
    receipt = {"decision": "promote", "published": True, "label": "better", "digest": "d1", "channel": "live"}
    write_json(data / "publish/receipt.json", receipt)
    write_json(state / "notes/publish.json", {"moved": True})
    night = history.add(
        state, "terminal", conclusion(tmp_path, state, [StageTime(stage="embed", how="ran")]) | {"began": 1.0}
    )
    assert (night.outcome, night.reason, night.version, night.source) == ("promoted", "Promoted.", "d1", "films")
    assert (night.metric, night.quality) == ("NDCG@10 (global_time)", (0.2, 0.1, 0.3))
    assert (night.rows, night.data_until, night.recipe) == ({"events": 10, "set aside": 2}, 99.0, "r1")
    assert history.nights(state) == [night]
