"""Writes runs to MLflow: a parent run per recipe and a child run per stage. Imported by `sender` only, since slow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, LifecycleStage, Metric, Param, RunTag, ViewType

from nightreel.tracking import registered_models
from nightreel.tracking.address import artifact_root
from nightreel.tracking.dvc_lock import Points
from nightreel.tracking.facts import Facts, StageFacts

_PARENT = "mlflow.parentRunId"
_KIND, _STAGE, _KEY = "nightreel.kind", "nightreel.stage", "nightreel.stage_key"
_BATCH = 900  # MLflow takes at most 1,000 metrics and 100 params or tags in one request
Say = Callable[[str], None]


def client(uri: str) -> Any:
    """Create MLflow's client for the runs and registered models of one address, without connecting yet."""
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def record(client: Any, facts: Facts, state: Path, say: Say) -> dict[str, str]:
    """Write a run's facts. Idempotent by recipe, so that it may be interrupted anywhere and repeated.

    Args:
        client: The result of `client`, after a first successful request.
        facts: The run's facts.
        state: The state directory, where the artifacts of a database are stored if no variable names another place.
        say: Prints a line for each entity that had been deleted in MLflow and was restored.

    Returns:
        run_id and experiment_id of the parent.
    """
    experiment = _experiment(client, facts.experiment, state, say)
    failed = any(stage.failed for stage in facts.stages)
    own = {_KIND: "run", registered_models.RECIPE: facts.recipe}
    parent = _run(client, experiment, facts.recipe[:12], own, {}, facts.ended, say)
    _fill(client, parent, facts.tags, facts.points, facts.datasets, facts.params)
    for stage in facts.stages:
        _record_stage(client, experiment, parent, facts, stage)
    for path, folder in facts.artifacts:
        log = client.log_artifacts if path.is_dir() else client.log_artifact
        log(parent.info.run_id, str(path), folder)
    if facts.version is not None:
        registered_models.register(client, facts.experiment, parent, facts.version, say)
    registered_models.follow(client, facts.experiment, facts.live)
    client.set_terminated(parent.info.run_id, "FAILED" if failed else "FINISHED", facts.ended)
    return {"run_id": str(parent.info.run_id), "experiment_id": experiment}


def _experiment(client: Any, name: str, state: Path, say: Say) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        place = artifact_root(state, client.tracking_uri)
        return str(client.create_experiment(name, artifact_location=place))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_experiment(found.experiment_id)
        say(
            f"experiment {name} had been deleted in MLflow: restored with its runs (to use another one, set "
            "record.experiment)"
        )
    return str(found.experiment_id)


def _run(
    client: Any, experiment: str, name: str, own: Mapping[str, str], more: Mapping[str, str], when: int, say: Say
) -> Any:
    """The run with the tags `own`: restored if it was deleted, created (with `more`) if there is none.

    Duplicates are deleted: they arise if a server creates a run but its response is lost.
    """
    query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in own.items())
    found = client.search_runs(
        [experiment], filter_string=query, run_view_type=ViewType.ALL, order_by=["attributes.start_time ASC"]
    )
    active = [run for run in found if run.info.lifecycle_stage == LifecycleStage.ACTIVE]
    for twin in active[1:]:
        client.delete_run(twin.info.run_id)
    if active:
        return active[0]
    if not found:
        return client.create_run(experiment, when, tags={**own, **more}, run_name=name)
    client.restore_run(found[0].info.run_id)
    say(f"run {name} had been deleted in MLflow: restored")
    return client.get_run(found[0].info.run_id)


def _fill(
    client: Any,
    run: Any,
    tags: Mapping[str, str],
    points: Points,
    datasets: Mapping[str, str],
    params: Mapping[str, str],
) -> None:
    run_id, when = run.info.run_id, run.info.start_time  # one moment for all, so that a repeated point is the same
    new = [Param(name, value[:6000]) for name, value in params.items() if name not in run.data.params]
    for start in range(0, len(new), 90):
        client.log_batch(run_id, params=new[start : start + 90])
    client.log_batch(run_id, tags=[RunTag(name, value[:5000]) for name, value in tags.items()])
    measured = [Metric(_metric_name(name), value, when, step) for name, value, step in points]
    for start in range(0, len(measured), _BATCH):
        client.log_batch(run_id, metrics=measured[start : start + _BATCH])
    known = {each.dataset.name for each in run.inputs.dataset_inputs}
    inputs = [
        DatasetInput(Dataset(name=path, digest=md5, source_type="dvc", source=json.dumps({"path": path, "md5": md5})))
        for path, md5 in datasets.items()
        if path not in known
    ]
    if inputs:
        client.log_inputs(run_id, datasets=inputs)


def _record_stage(client: Any, experiment: str, parent: Any, facts: Facts, stage: StageFacts) -> None:
    own = {_KIND: "stage", registered_models.RECIPE: facts.recipe, _STAGE: stage.name}
    query = (
        f"tags.`{_KEY}` = '{stage.key}' and tags.`{registered_models.RECIPE}` != '{facts.recipe}' "
        f"and tags.`{_STAGE}` = '{stage.name}'"
    )
    before = [] if stage.failed else client.search_runs([experiment], filter_string=query, max_results=1)
    up = {_PARENT: parent.info.run_id}
    run = _run(client, experiment, stage.name, own, up, facts.ended, lambda _: None)  # the parent's line says it
    tags = {"nightreel.reused": "true" if before else "false"} | {f"dvc.outs.{p}": md5 for p, md5 in stage.outs.items()}
    if before:
        tags["nightreel.reused_from"] = before[0].info.run_id
    if not stage.failed:
        tags[_KEY] = stage.key
    # What a stage noted (seconds, cache hits) belongs to the run in which it worked.
    notes = {} if before else stage.notes
    points = tuple((name, float(v), 0) for name, v in notes.items() if isinstance(v, int | float))
    tags |= {f"note.{name}": str(v) for name, v in notes.items() if not isinstance(v, int | float)}
    _fill(client, run, up | tags, stage.points + points, stage.deps, {})
    client.set_terminated(run.info.run_id, "FAILED" if stage.failed else "FINISHED", facts.ended)


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits and _ - . / : and spaces."""
    return re.sub(r"[^\w\-./: ]", "_", name.replace("@", "_at_"))
