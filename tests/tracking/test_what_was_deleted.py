"""What a person deletes in MLflow, or a disk loses, never stops a night: it is there again, and told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tracking.nights import STAGES, Run

pytestmark = pytest.mark.end_to_end
Main = Callable[..., None]


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("recipe", ["r1", "r2"])
def test_a_deleted_experiment_is_restored(
    run: Run, main: Main, capsys: pytest.CaptureFixture[str], recipe: str
) -> None:
    """By the same night asked again, and by the next one."""
    run.ended("r1")
    main()
    client = run.client
    client.delete_experiment(client.get_experiment_by_name("films").experiment_id)
    lines(capsys)
    run.ended(recipe, seed=int(recipe == "r2"))
    main()
    told = lines(capsys)
    assert told[0].startswith("experiment films had been deleted in MLflow: restored")
    assert told[-1] == f"recorded as MLflow run {recipe} in experiment films"
    assert client.get_experiment_by_name("films").lifecycle_stage == "active"
    assert len(run.runs(recipe="r1", kind="run")) == len(run.runs(recipe=recipe, kind="run")) == 1


def test_a_deleted_run_of_the_same_recipe_is_restored(run: Run, main: Main, capsys: pytest.CaptureFixture[str]) -> None:
    run.ended("r1")
    main()
    before = run.runs(recipe="r1", kind="run")[0].info.run_id
    for each in run.runs(recipe="r1"):
        run.client.delete_run(each.info.run_id)
    lines(capsys)
    main()
    assert lines(capsys) == [
        "run r1 had been deleted in MLflow: restored",
        "recorded as MLflow run r1 in experiment films",
    ]
    assert [each.info.run_id for each in run.runs(recipe="r1", kind="run")] == [before]
    assert len(run.runs()) == len(STAGES)


def test_a_second_run_that_a_repeated_request_left_is_removed(run: Run, main: Main) -> None:
    run.ended("r1")
    main()
    (one,) = run.runs(recipe="r1", kind="run")
    tags = {"nightreel.kind": "run", "nightreel.recipe": "r1"}
    run.client.create_run(one.info.experiment_id, tags=tags)
    shutil.rmtree(run.state / "mlflow" / "recorded")
    main()
    assert [each.info.run_id for each in run.runs(recipe="r1", kind="run")] == [one.info.run_id]
    parents = {each.data.tags["mlflow.parentRunId"] for each in run.runs(recipe="r1", kind="stage")}
    assert parents == {one.info.run_id}


def test_a_deleted_registered_model_is_made_again(run: Run, main: Main) -> None:
    digest = run.ended("r1")
    main()
    run.client.delete_registered_model("films")
    main()
    assert run.alias("champion") == digest


@pytest.mark.parametrize("same", [True, False], ids=["same night", "next night, same bundle"])
def test_a_run_whose_files_are_gone_gets_them_again(
    run: Run, main: Main, capsys: pytest.CaptureFixture[str], same: bool
) -> None:
    run.ended("r1")
    main()
    shutil.rmtree(run.state / "mlflow" / "artifacts")
    lines(capsys)
    recipe = "r1" if same else "r2"
    digest = run.ended(recipe)
    main()
    assert "version 1 of model films had lost its files in MLflow: registered again" in lines(capsys)
    (parent,) = run.runs(recipe=recipe, kind="run")
    assert [f.path for f in run.client.list_artifacts(parent.info.run_id, "report")] == [f"report/{recipe}.html"]
    assert run.alias("champion") == digest
    source = run.client.get_model_version_by_alias("films", "champion").source
    assert (Path(source.removeprefix("file://")) / "MLmodel").is_file()


def test_a_run_that_was_gone_for_good_is_recorded_again(run: Run, main: Main) -> None:
    """As `mlflow gc` leaves it: the version's run is unknown."""
    from mlflow.tracking._tracking_service.utils import _get_store

    from nightreel.tracking.address import tracking_uri

    digest = run.ended("r1")
    main()
    store = _get_store(tracking_uri(run.state))
    for each in run.runs(recipe="r1"):
        store.delete_run(each.info.run_id)
        store._hard_delete_run(each.info.run_id)
    main()
    assert len(run.runs(recipe="r1", kind="run")) == 1 and run.alias("champion") == digest
