"""Nights to record, in real MLflow on SQLite."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nightreel.settings import yaml_values
from nightreel.tracking import delivery, sender
from nightreel.tracking.address import tracking_uri
from tasks import record
from tests.tracking.nights import ROOT, STAGES, Run, here


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: making one takes seconds."""
    state = tmp_path_factory.mktemp("state")
    sender.open_client(state, tracking_uri(state), lambda _: None)
    return state / "mlflow" / "mlflow.db"


@pytest.fixture
def run(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    state, folder = tmp_path / "state", tmp_path / "work"
    (state / "mlflow").mkdir(parents=True)
    shutil.copy(database, state / "mlflow" / "mlflow.db")
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NIGHTREEL_STATE", str(state))
    for name in ("NIGHTREEL_STORE", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(delivery, "_messages", here)
    values = yaml_values.read((ROOT / "params.yaml").read_text())
    values["record"]["experiment"] = "films"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {name: {"cmd": "x"} for name in STAGES}}, sort_keys=False))
    made = Run(folder, state)
    made.stages()
    return made


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def call(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["record", *arguments])
        record.main()

    return call
