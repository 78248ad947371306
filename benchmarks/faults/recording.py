"""Whole nights under faults of MLflow: each ends well, reports what it did not record, and loses nothing."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import yaml
from mlflow import MlflowClient

from benchmarks.faults.world import Row, World
from benchmarks.speed.nightly import BIN, ROOT, own_data

HELD_S, WHOLE_S = 60.0, 30.0
# A night of about a minute: what is learned does not matter here.
SMALL = {"evaluate": {"bootstrap_replicates": 200}, "finetune": {"encoder_steps": 2, "encoder_pairs": 8}}


@dataclass(frozen=True)
class Night:
    """How `nightreel run` ended. told: its summary's line on the record; recording_s: of the stage `record`."""

    code: int
    told: str
    recording_s: float
    output: str

    @property
    def well(self) -> bool:
        return self.code == 0 and "Traceback" not in self.output

    @property
    def recorded(self) -> bool:
        return self.told.startswith("recorded as MLflow run")


class Nights:
    """A checkout of its own whose nights differ in a setting, so that each has something new to record."""

    def __init__(self, root: Path) -> None:
        self.checkout, self.state, self._number = root / "checkout", root / "state", 0
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.checkout)], check=True)
        own_data(root / "films", "The first title")
        path = self.checkout / "params.yaml"
        values = yaml.safe_load(path.read_text("utf-8"))
        values["snapshot"]["source"] = str(root / "films")
        for section, fields in SMALL.items():
            values[section] |= fields
        path.write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")

    def run(self, **variables: str) -> Night:
        """The next night, in a worktree."""
        self._number += 1
        words = ["run", "--json", "--set", f"evaluate.margin={0.03 + self._number / 1000:.3f}"]
        outer = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "NIGHTREEL_", "PREFECT_", "GIT_"))}
        ours = {
            "NIGHTREEL_STATE": str(self.state),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.checkout),
        }
        done = subprocess.run(
            [str(BIN / "nightreel"), *words],
            cwd=self.checkout,
            env=outer | ours | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        if done.returncode:
            print(output[-3000:])
            return Night(done.returncode, "", 0.0, output)
        found = json.loads(done.stdout)
        return Night(0, found["recorded"], found["stages"]["record"]["seconds"], output)

    @property
    def database(self) -> Path:
        return self.state / "mlflow" / "mlflow.db"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.database}", f"sqlite:///{self.database}")


def campaign(world: World) -> list[Row]:
    """A sound night, then one for each fault."""
    nights = Nights(world.root / "recording")
    first = nights.run()
    rows = [Row("nights: a sound one, recorded", first.told[:40], "recorded", first.well and first.recorded)]
    for fault in (_unreachable, _locked, _deleted, _moved, _relative):
        rows += fault(nights)
    return rows


def _runs(database: Path) -> int:
    """Nights in a database."""
    query = "select count(*) from tags where key = 'nightreel.kind' and value = 'run'"
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(query).fetchone()[0])


def _unreachable(nights: Nights) -> list[Row]:
    """Nobody listens at the address; the next night, to the state directory, records both."""
    before = _runs(nights.database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        night = nights.run(MLFLOW_TRACKING_URI=f"http://127.0.0.1:{probe.getsockname()[1]}")
    told = night.told.startswith("not recorded: MLflow at http://127.0.0.1:")
    after = nights.run()
    gained = _runs(nights.database) - before
    return [
        Row("nights with an unreachable server that end well", f"{night.well:d}", "1", night.well),
        Row("  and say so in one line", f"{told:d}", "1", told),
        Row("  seconds of recording", f"{night.recording_s:.0f}", f"{WHOLE_S:.0f}", night.recording_s <= WHOLE_S),
        Row("  nights that the next one records", f"{gained}", "2", after.well and gained == 2),
    ]


def _locked(nights: Nights) -> list[Row]:
    """A backup has the database from the moment that `record` begins; as it can't be foreseen, from the night's start
    until a minute after the version was published."""
    before = _runs(nights.database)
    holder = sqlite3.connect(nights.database, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    log, done = nights.state / "notes" / "publish.cost.json", threading.Event()
    begun = time.time()

    def release() -> None:
        while not done.wait(0.5) and not (log.exists() and log.stat().st_mtime > begun):
            continue
        done.wait(HELD_S)
        holder.rollback()

    threading.Thread(target=release, daemon=True).start()
    night = nights.run()
    done.set()
    gained, waited = _runs(nights.database) - before, night.recording_s >= HELD_S - 10
    return [
        Row("nights with MLflow's database in use for a minute", "1", "", True),
        Row("  that end well, recorded", f"{night.well and night.recorded:d}", "1", night.well and night.recorded),
        Row("  seconds of recording", f"{night.recording_s:.0f}", f"over {HELD_S - 10:.0f}", waited),
        Row("  runs of the night in MLflow", f"{gained}", "1", gained == 1),
    ]


def _deleted(nights: Nights) -> list[Row]:
    client = nights.client
    experiment = client.get_experiment_by_name("nightreel")
    client.delete_experiment(experiment.experiment_id)
    night = nights.run()
    told = "had been deleted in MLflow: restored" in night.output
    back = client.get_experiment(experiment.experiment_id).lifecycle_stage == "active"
    return [
        Row("nights after the experiment was deleted, recorded", f"{night.recorded:d}", "1", night.recorded),
        Row("  experiments restored, and told", f"{back and told:d}", "1", back and told),
    ]


def _moved(nights: Nights) -> list[Row]:
    """The registered model of a night before the move is loaded by a process of its own."""
    version = nights.client.get_model_version_by_alias("nightreel", "champion").version
    old, nights.state = nights.state, nights.state.with_name("moved")
    old.rename(nights.state)
    night = nights.run()
    again = old.exists()
    address = f"models:/nightreel/{version}"
    code = f"import mlflow; mlflow.pyfunc.load_model({address!r})"
    variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{nights.database}", "MLFLOW_REGISTRY_URI": ""}
    loaded = subprocess.run([sys.executable, "-c", code], env=os.environ | variables, capture_output=True, check=False)
    return [
        Row("nights in a state directory that was moved, recorded", f"{night.recorded:d}", "1", night.recorded),
        Row("  old places made again", f"{again:d}", "0", not again),
        Row("  earlier versions that MLflow can't load", f"{bool(loaded.returncode):d}", "0", not loaded.returncode),
    ]


def _relative(nights: Nights) -> list[Row]:
    night = nights.run(MLFLOW_TRACKING_URI="sqlite:///mine.db")
    place = nights.checkout / "mine.db"
    found = _runs(place) if place.exists() else 0
    strays = [path for path in nights.state.rglob("mine.db") if re.search(r"runs/\d", str(path))]
    return [
        Row("nights with sqlite:///mine.db, recorded", f"{night.recorded:d}", "1", night.recorded),
        Row("  runs in the folder where the command was typed", f"{found}", "1", found == 1),
        Row("  in worktrees that are thrown away", f"{len(strays)}", "0", not strays),
    ]
