"""MLflow after a run: what stands there, once, and what follows the channel. Real MLflow on SQLite, real bundles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient

from tasks import provenance, record, tracking
from tasks.data.histories import Histories
from tasks.index import channels
from tasks.index.local_store import LocalStore
from tasks.stage import UserError, write_json
from tests.tasks.small_bundle import write_bundle

pytestmark = pytest.mark.end_to_end

ROOT = Path(__file__).parents[2]
STAGES = ("snapshot", "validate", "understand", "embed", "finetune", "evaluate", "refit", "publish", "record")
ITEMS, USERS = ["a", "b", "c"], ["u", "v"]
LEARNT = Histories.from_rows([([0, 1], [1.0, 2.0]), ([1], [3.0])])


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: making one takes seconds."""
    state = tmp_path_factory.mktemp("state")
    tracking.prepare(state)
    return state / "mlflow" / "mlflow.db"


@dataclass(frozen=True)
class Run:
    """A workspace in which every stage but record has run."""

    folder: Path
    state: Path

    def stages(self, **keys: str) -> None:
        """dvc.lock with one dep and one out a stage; `keys` changes the hash of a stage's dep."""
        entries = {
            name: {
                "cmd": f"python -m tasks.{name}",
                "deps": [{"path": f"tasks/{name}.py", "md5": keys.get(name, "0" * 32)}],
                "outs": [{"path": f"data/{name}", "md5": "1" * 32 + ".dir"}],
            }
            for name in STAGES[:-1]
        }
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": entries}))

    def ended(self, recipe: str, decision: str = "promote", *, published: bool = True, seed: int = 0) -> str:
        """What the stages leave; returns the digest of the final bundle, or of the candidate where it is held."""
        write_json(Path("data/snapshot/recipe.json"), {"recipe": recipe})
        verdict = {"decision": decision, "label": "better", "sentence": f"{decision}: for a reason"}
        write_json(Path("data/evaluate/verdict.json"), verdict)
        plots = Path("data/evaluate/plots")
        plots.mkdir(parents=True, exist_ok=True)
        (plots / "by_k.csv").write_text("protocol,model,k,ndcg\ntime,blend,5,0.1\ntime,blend,10,0.2\n")
        write_json(Path("metrics/evaluate.json"), {"gate": {"ndcg@10": 0.25, "users": 90}})
        target = Path("data/refit/bundle") if decision == "promote" else Path("data/finetune/candidate")
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree("data/refit", ignore_errors=True)
        digest = write_bundle(target, ITEMS, USERS, LEARNT, seed)
        out = published and decision == "promote"
        receipt = {"decision": decision, "digest": digest if decision == "promote" else None, "published": out}
        write_json(Path("data/publish/receipt.json"), receipt)
        if out:
            store = LocalStore(self.state / "store")
            seen = channels.live(store)
            channels.move(store, "live", digest, previous=seen.digest if seen else None, seen=seen)
        return digest

    @property
    def client(self) -> Any:
        return MlflowClient(tracking_uri=tracking.tracking_uri(self.state))

    def runs(self, **tags: str) -> list[Any]:
        query = " and ".join(f"tags.`nightreel.{name}` = '{value}'" for name, value in tags.items())
        found = self.client.search_experiments(filter_string="name = 'films'")
        return list(self.client.search_runs([e.experiment_id for e in found], filter_string=query))

    def alias(self, name: str) -> str | None:
        """The digest of the model version with an alias."""
        model = self.client.get_registered_model("films")
        if name not in model.aliases:
            return None
        return str(self.client.get_model_version("films", model.aliases[name]).tags["nightreel.digest"])


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
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
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


def test_a_run_has_a_parent_and_a_child_per_stage(run: Run, main: Callable[..., None]) -> None:
    run.ended("r1")
    write_json(run.state / "notes" / "embed.json", {"encoded": 3, "encoder": "mini"})
    write_json(run.state / "notes" / "embed.cost.json", {"wall_seconds": 2.5, "peak_mb": 300.0})
    main()
    (parent,) = run.runs(recipe="r1", kind="run")
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["nightreel.decision"] == "promote"
    assert parent.data.tags["mlflow.note.content"] == "promote: for a reason"
    assert parent.data.metrics["evaluate.gate.ndcg_at_10"] == 0.25
    assert parent.data.params["evaluate.margin"] == "0.03"
    assert {d.dataset.name: d.dataset.digest for d in parent.inputs.dataset_inputs} == {
        "data/snapshot": "1" * 32 + ".dir",
        "data/validate": "1" * 32 + ".dir",
    }
    children = {r.info.run_name: r for r in run.runs(recipe="r1", kind="stage")}
    assert set(children) == set(STAGES[:-1])
    assert {r.data.tags["mlflow.parentRunId"] for r in children.values()} == {parent.info.run_id}
    assert children["embed"].data.metrics["encoded"] == 3
    assert children["embed"].data.tags["note.encoder"] == "mini"
    assert children["embed"].data.metrics["wall_seconds"] == 2.5
    assert "promote: for a reason" in (run.state / "reports" / "r1.html").read_text()
    assert [f.path for f in run.client.list_artifacts(parent.info.run_id, "report")] == ["report/r1.html"]
    curve = run.client.get_metric_history(children["evaluate"].info.run_id, "by_k/time/blend/ndcg")
    assert [(m.step, m.value) for m in curve] == [(5, 0.1), (10, 0.2)]
    logged = {f.path for f in run.client.list_artifacts(parent.info.run_id, "evaluate")}
    assert logged == {"evaluate/verdict.json", "evaluate/plots"}
    assert json.loads(Path("data/record/run.json").read_text())["recipe"] == "r1"


def test_the_same_run_again_adds_nothing_and_does_not_import_mlflow(run: Run, main: Callable[..., None]) -> None:
    run.ended("r1")
    main()
    before = Path("data/record/run.json").read_bytes()
    code = "import sys; from tasks import record; record.main(); print(*(m for m in sys.modules if m == 'mlflow'))"
    again = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert again.stdout.splitlines() == ["recorded already: MLflow run r1", ""]
    assert Path("data/record/run.json").read_bytes() == before
    # Without its marker it is written again, over the same runs.
    shutil.rmtree(run.state / "mlflow" / "recorded")
    main()
    assert len(run.runs()) == 1 + len(STAGES) - 1
    curve = run.client.get_metric_history(run.runs(stage="evaluate")[0].info.run_id, "by_k/time/blend/ndcg")
    assert len(curve) == 2


def test_a_deleted_database_is_filled_again(run: Run, main: Callable[..., None], database: Path) -> None:
    run.ended("r1")
    main()
    shutil.copy(database, run.state / "mlflow" / "mlflow.db")
    main()
    assert len(run.runs(recipe="r1", kind="run")) == 1


def test_stages_that_dvc_reused_say_so_and_repeat_no_times(run: Run, main: Callable[..., None]) -> None:
    run.ended("r1")
    write_json(run.state / "notes" / "embed.json", {"encoded": 3})
    main()
    run.stages(finetune="2" * 32)
    run.ended("r2", seed=1)
    main()
    reused = {r.info.run_name: r.data.tags["nightreel.reused"] for r in run.runs(recipe="r2", kind="stage")}
    assert {name for name, flag in reused.items() if flag == "false"} == {"finetune"}
    (embed,) = run.runs(recipe="r2", stage="embed")
    assert embed.data.tags["nightreel.reused_from"] == run.runs(recipe="r1", stage="embed")[0].info.run_id
    assert "encoded" not in embed.data.metrics
    assert {r.data.tags["nightreel.reused"] for r in run.runs(recipe="r1", kind="stage")} == {"false"}


def test_a_failed_run_shows_what_there_is_and_is_mended_by_the_next_one(run: Run, main: Callable[..., None]) -> None:
    run.ended("r1")
    main("--failed", "finetune", "--reason", "no space left")
    (parent,) = run.runs(recipe="r1", kind="run")
    assert parent.info.status == "FAILED"
    assert parent.data.tags["nightreel.status"] == "failed at finetune"
    assert parent.data.tags["mlflow.note.content"] == "no space left"
    states = {r.info.run_name: r.info.status for r in run.runs(recipe="r1", kind="stage")}
    assert states == {
        "snapshot": "FINISHED",
        "validate": "FINISHED",
        "understand": "FINISHED",
        "embed": "FINISHED",
        "finetune": "FAILED",
    }
    main()
    (parent,) = run.runs(recipe="r1", kind="run")
    assert parent.info.status == "FINISHED"
    assert {r.info.status for r in run.runs(recipe="r1", kind="stage")} == {"FINISHED"}
    assert len(run.runs()) == 1 + len(STAGES) - 1


def test_a_failed_snapshot_does_not_blame_the_run_before_it(run: Run, main: Callable[..., None]) -> None:
    run.ended("r1")
    main()
    main("--failed", "snapshot")
    assert run.runs(recipe="r1", kind="run")[0].info.status == "FINISHED"
    assert [r.info.status for r in run.runs(stage="snapshot")] == ["FAILED", "FINISHED"]


def test_an_unknown_stage_is_refused_by_name(run: Run, main: Callable[..., None]) -> None:
    with pytest.raises(UserError, match=r"--failed nonsense: no such stage in dvc.yaml. Give one of snapshot, "):
        main("--failed", "nonsense")


def test_the_champion_alias_follows_the_channel(run: Run, main: Callable[..., None]) -> None:
    one = run.ended("r1")
    main()
    assert run.alias("champion") == one
    held = run.ended("r2", "hold", seed=1)
    main()
    assert (run.alias("champion"), run.alias("challenger")) == (one, held)
    kept_back = run.ended("r3", published=False, seed=2)
    main()
    assert (run.alias("champion"), run.alias("challenger")) == (one, kept_back)
    assert run.ended("r3", seed=2) == kept_back
    main()
    assert (run.alias("champion"), run.alias("challenger")) == (kept_back, None)


def test_the_registered_model_answers_as_the_bundle_without_a_pickle(
    run: Run, main: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd

    run.ended("r1")
    main()
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: tracking.tracking_uri(run.state))
    address = run.client.get_model_version_by_alias("films", "champion").source
    lists = mlflow.pyfunc.load_model(address).predict(pd.DataFrame({"user_id": ["v", "nobody"]}), params={"k": 2})
    assert lists[["user_id", "item_id", "rank"]].to_numpy().tolist() == [
        ["v", "a", 1], ["v", "c", 2], ["nobody", "b", 1], ["nobody", "a", 2],
    ]  # fmt: skip
    files = [p for p in (run.state / "mlflow" / "artifacts").rglob("*") if p.is_file()]
    assert not [p for p in files if p.suffix in (".pkl", ".pickle", ".joblib")]


def test_curves_without_a_step_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "by_model.csv"
    path.write_text("protocol,model,ndcg\ntime,blend,0.1\n")
    assert provenance.curves(path) == ()
    assert provenance.numbers(tmp_path / "none.json", "") == ()


def test_a_bundle_that_the_stages_did_not_write_is_not_registered(run: Run, main: Callable[..., None]) -> None:
    run.ended("r1")
    shutil.rmtree("data/refit")
    main()
    assert run.client.search_registered_models() == []
    assert np.isclose(run.runs(kind="run")[0].data.metrics["evaluate.gate.users"], 90)
