"""A state directory, or a checkout with it, that is moved: MLflow's places follow, and nothing is written where it was."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from nightreel.tracking.address import tracking_uri
from nightreel.tracking.artifact_paths import MARK
from tests.tracking.nights import Run

pytestmark = pytest.mark.end_to_end
Main = Callable[..., None]


def move(run: Run, monkeypatch: pytest.MonkeyPatch, how: Callable[[Path, Path], object]) -> Run:
    new = run.state.with_name("moved")
    how(run.state, new)
    monkeypatch.setenv("NIGHTREEL_STATE", str(new))
    return Run(run.folder, new)


def answers(run: Run, monkeypatch: pytest.MonkeyPatch, alias: str) -> list[str]:
    """Items of the registered model with an alias, as MLflow loads it."""
    import mlflow
    import pandas as pd

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(run.state))
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", tracking_uri(run.state))
    loaded = mlflow.pyfunc.load_model(f"models:/films@{alias}")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    return list(loaded.predict(pd.DataFrame({"user_id": ["v"]}), params={"k": 2})["item_id"])


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "of an earlier release"])
def test_places_follow(
    run: Run, main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], marked: bool
) -> None:
    run.ended("r1")
    main()
    if not marked:
        (run.state / "mlflow" / MARK).unlink()
    first = answers(run, monkeypatch, "champion")
    old, run = run.state, move(run, monkeypatch, shutil.move)
    capsys.readouterr()
    run.ended("r2", "hold", seed=1)
    main()
    told = capsys.readouterr().out
    assert f"the state directory was moved from {old / 'mlflow'}: updated " in told
    assert "recorded as MLflow run r2" in told
    assert not old.exists()
    with sqlite3.connect(run.state / "mlflow" / "mlflow.db") as database:
        text = "\n".join(database.iterdump())
    assert str(old / "mlflow") not in text and (run.state / "mlflow" / "artifacts").as_uri() in text
    assert answers(run, monkeypatch, "champion") == first  # of the night before the move
    assert answers(run, monkeypatch, "challenger")
    main()
    assert "moved" not in capsys.readouterr().out


def test_a_copy_is_a_place_of_its_own(run: Run, main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    run.ended("r1")
    main()
    before = {path.name for path in (run.state / "mlflow" / "artifacts").iterdir()}
    copy = move(run, monkeypatch, shutil.copytree)
    copy.ended("r2", seed=1)
    main()
    assert {path.name for path in (run.state / "mlflow" / "artifacts").iterdir()} == before
    assert len(list((copy.state / "mlflow" / "artifacts").iterdir())) == 2
    monkeypatch.setenv("NIGHTREEL_STATE", str(run.state))
    run.ended("r3", seed=2)
    main()
    assert len(list((run.state / "mlflow" / "artifacts").iterdir())) == 2


def test_an_experiment_that_somebody_keeps_elsewhere_stays_there(run: Run, main: Main, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "mlflow" / "artifacts"
    elsewhere.mkdir(parents=True)
    run.client.create_experiment("mine", artifact_location=elsewhere.as_uri())
    run.ended("r1")
    main()
    assert run.client.get_experiment_by_name("mine").artifact_location == elsewhere.as_uri()
    assert json.loads((run.state / "mlflow" / MARK).read_text()) == {"folder": str(run.state / "mlflow")}
