"""MLflow after a run: what stands there, once, and what follows the channel. Real MLflow on SQLite, real bundles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nightreel.cli.versions import withdrawn_ids
from nightreel.errors import UserError
from nightreel.stage import write_json
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from nightreel.tracking import dvc_lock
from nightreel.tracking.address import tracking_uri
from tests.support.bundles import lineage, write_bundle
from tests.tracking.nights import ROOT, STAGES, Run

pytestmark = pytest.mark.end_to_end


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
    assert "for a reason" in (run.state / "reports" / "r1.html").read_text()
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
    assert again.stdout.splitlines() == ["already recorded as MLflow run r1", ""]
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
    with pytest.raises(
        UserError, match=r"--failed nonsense: there is no such stage in dvc.yaml. Use one of snapshot, "
    ):
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
    run: Run, main: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd

    run.ended("r1")
    main()
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: tracking_uri(run.state))
    address = run.client.get_model_version_by_alias("films", "champion").source
    lists = mlflow.pyfunc.load_model(address).predict(pd.DataFrame({"user_id": ["v", "nobody"]}), params={"k": 2})
    assert lists[["user_id", "item_id", "rank"]].to_numpy().tolist() == [
        ["v", "a", 1], ["v", "c", 2], ["nobody", "b", 1], ["nobody", "a", 2],
    ]  # fmt: skip
    files = [p for p in (run.state / "mlflow" / "artifacts").rglob("*") if p.is_file()]
    assert not [p for p in files if p.suffix in (".pkl", ".pickle", ".joblib")]
    store = LocalStore(tmp_path / "store")
    write_bundle(tmp_path / "live")
    publish(store, tmp_path / "live", channel="live", champion=None, lineage=lineage("r1"))
    withdrawn_ids.withdraw(store, None, withdrawn_ids.Named(("a",), ("v",)))
    monkeypatch.setenv("NIGHTREEL_STORE", store.uri)
    lists = mlflow.pyfunc.load_model(address).predict(pd.DataFrame({"user_id": ["v", "nobody"]}), params={"k": 2})
    shown = {user: own["item_id"].tolist() for user, own in lists.groupby("user_id")}
    assert "a" not in shown["nobody"] and shown["v"] == shown["nobody"]


def test_curves_without_a_step_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "by_model.csv"
    path.write_text("protocol,model,ndcg\ntime,blend,0.1\n")
    assert dvc_lock.curves(path) == ()
    assert dvc_lock.numbers(tmp_path / "none.json", "") == ()


def test_a_bundle_that_the_stages_did_not_write_is_not_registered(run: Run, main: Callable[..., None]) -> None:
    run.ended("r1")
    shutil.rmtree("data/refit")
    main()
    assert run.client.search_registered_models() == []
    assert np.isclose(run.runs(kind="run")[0].data.metrics["evaluate.gate.users"], 90)
