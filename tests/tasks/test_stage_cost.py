"""What a stage cost is kept beside DVC when it ran as a program and ended well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nightreel.stage import read_json

ROOT = Path(__file__).parents[2]


def run(folder: Path, work: str, beside: float = 0.0) -> Path:
    """`tasks/learn.py` that does some work, with bytes of memory beside it; returns where its cost is kept."""
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / "learn.py").write_text(
        f"from nightreel.stage import UserError, stage_main\nstage_main(lambda: ({work}, {beside})[1])\n"
    )
    state = folder / "state"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(state)}
    subprocess.run([sys.executable, "tasks/learn.py"], cwd=folder, env=environment, capture_output=True, check=False)
    return state / "notes" / "learn.cost.json"


def test_seconds_and_peak_memory_of_a_stage(tmp_path: Path) -> None:
    cost = read_json(run(tmp_path, "__import__('time').sleep(0.2) or bytearray(200_000_000)"))
    assert 0.2 <= cost["wall_seconds"] < 5
    assert 200 < cost["peak_mb"] < 500


def test_a_stage_that_failed_has_no_cost(tmp_path: Path) -> None:
    assert not run(tmp_path, "1 / 0").exists()


def test_memory_of_processes_beside_it_counts(tmp_path: Path) -> None:
    assert 5000 < read_json(run(tmp_path, "None", beside=5e9))["peak_mb"] < 5500
