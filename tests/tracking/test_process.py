"""The process that records, as it is started at night: it waits, it ends in time, it goes on where it was killed.

What MLflow's side may be like is in test_what_does_not_work.py, without the start of a process for each.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nightreel.stage import write_json
from nightreel.tracking import outbox
from nightreel.tracking.artifact_paths import MARK
from tests.tracking import servers
from tests.tracking.nights import ROOT, Run

pytestmark = pytest.mark.end_to_end
WHOLE_S = 30.0  # for which a server that is of no use may keep a night
HELD_S = 3.0  # after it was told


def begin(run: Run, **variables: str) -> subprocess.Popen[str]:
    """`python -m tasks.record`, in a session of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(run.state), **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "tasks.record"], cwd=run.folder, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def record(run: Run, **variables: str) -> tuple[list[str], float]:
    """Its lines, and the seconds that it took; it has to end well."""
    began = time.monotonic()
    with begin(run, **variables) as process:
        told, wrong = process.communicate()
    assert (process.returncode, wrong) == (0, ""), told + wrong
    return told.splitlines(), time.monotonic() - began


def out(run: Run) -> bytes:
    return (run.folder / "data/record/run.json").read_bytes()


def test_a_silent_server_is_left_alone_in_time_and_recorded_later(run: Run) -> None:
    run.ended("r1")
    with servers.silent() as uri:
        told, seconds = record(run, MLFLOW_TRACKING_URI=uri)
    assert len(told) == 1 and "does not respond" in told[0], told
    later = f"It waits in {outbox.folder(run.state)}: the next run, or `dvc repro record`, tries again."
    assert told[0].startswith("not recorded: MLflow at http://127.0.0.1:") and later in told[0]
    assert json.loads((run.state / "mlflow" / "outcome.json").read_text())["line"] == told[0]
    assert (run.state / "reports" / "r1.html").is_file()
    missed = out(run)
    run.ended("r2", seed=1)
    told, working = record(run)
    assert seconds < WHOLE_S + working, "beyond what two runs take with the import of MLflow, on a machine as busy"
    assert told == ["also recorded, from earlier runs: MLflow run r1", "recorded as MLflow run r2 in experiment films"]
    assert outbox.waiting(run.state) == []
    one, two = (run.runs(recipe=recipe, kind="run")[0] for recipe in ("r1", "r2"))
    assert one.info.start_time < two.info.start_time and one.data.metrics["evaluate.gate.ndcg_at_10"] == 0.25
    run.ended("r1")
    record(run)
    assert out(run) == missed, "what DVC keeps is the same whether MLflow answered or not"


def test_a_database_in_use_is_waited_for(run: Run) -> None:
    """`python -m benchmarks.faults --only recording` has it in use for a whole minute."""
    run.ended("r1")
    database = run.state / "mlflow" / "mlflow.db"
    write_json(database.with_name(MARK), {"folder": str(database.parent)})  # as on every night but the first
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with begin(run) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == (
            f"MLflow's database {database} is in use by another process; waiting for it\n"
        )
        time.sleep(HELD_S)
        assert process.poll() is None
        holder.rollback()
        assert process.stdout.read() == "recorded as MLflow run r1 in experiment films\n"
    assert process.returncode == 0 and len(run.runs(recipe="r1", kind="run")) == 1


def not_installed(run: Run) -> dict[str, str]:
    fake = run.folder / "fake"
    fake.mkdir()
    (fake / "mlflow.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')\n")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{fake}"}


def dying(run: Run) -> dict[str, str]:
    fake = run.folder / "fake"
    fake.mkdir()
    (fake / "mlflow.py").write_text("import os; os.abort()\n")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{fake}"}


@pytest.mark.parametrize(
    ("make", "meaning"),
    [
        (not_installed, "MLflow can't be imported here (libcudart.so.12: cannot open shared object file)."),
        (dying, "ended with exit code -6."),
    ],
    ids=["not installed", "dying"],
)
def test_an_mlflow_that_can_not_be_imported_is_told_in_one_line(
    run: Run, make: Callable[[Run], dict[str, str]], meaning: str
) -> None:
    run.ended("r1")
    told, _ = record(run, **make(run))
    assert len(told) == 1 and told[0].startswith("not recorded: ") and meaning in told[0], told
    assert len(outbox.waiting(run.state)) == 1 and json.loads(out(run))["recipe"] == "r1"


def test_a_relative_database_lies_where_the_command_was_typed(run: Run) -> None:
    run.ended("r1")
    record(run, MLFLOW_TRACKING_URI="sqlite:///mine.db")
    assert (run.folder / "mine.db").is_file() and not (run.state / "mlflow" / "mine.db").exists()


def test_a_killed_record_goes_on(run: Run) -> None:
    """Killed at several moments: the next one ends with one run, whole."""
    run.ended("r1")
    database = run.state / "mlflow" / "mlflow.db"
    for least in (1, 5):  # runs that are there when it is killed
        child = begin(run)
        while child.poll() is None and _count(database) < least:
            time.sleep(0.01)
        os.killpg(child.pid, 9)
        child.communicate()
    assert [entry.name for entry in outbox.waiting(run.state)] == ["r1"]
    told, _ = record(run)
    assert told == ["recorded as MLflow run r1 in experiment films"]
    assert len(run.runs(kind="run")) == 1 and len(run.runs(kind="stage")) == 8
    assert run.alias("champion") is not None and not list(outbox.folder(run.state).glob("*"))


def _count(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return int(connection.execute("select count(*) from runs").fetchone()[0])
