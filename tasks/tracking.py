"""MLflow: one parent run a recipe, a child run a stage, and the registered model that follows the channel.

The only module that imports MLflow, and only inside functions: the import takes seconds and most runs don't need it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.provenance import Points

# MLflow's name; importing its constant would cost the import of MLflow.
_PARENT = "mlflow.parentRunId"
_KIND, _RECIPE, _STAGE, _KEY = "nightreel.kind", "nightreel.recipe", "nightreel.stage", "nightreel.stage_key"
_DIGEST = "nightreel.digest"
_BATCH = 900  # MLflow takes at most 1,000 metrics and 100 params or tags in one request


@dataclass(frozen=True)
class StageFacts:
    """A stage of the run. key: hash of its dvc.lock entry, equal where DVC reuses it; deps, outs: path → DVC md5;
    points: (metric, value, step); failed: this run stopped here."""

    name: str
    key: str
    deps: Mapping[str, str]
    outs: Mapping[str, str]
    points: Points
    notes: Mapping[str, Any]
    failed: bool


@dataclass(frozen=True)
class Version:
    """A bundle to register under its digest. alias: `challenger` where it isn't live, else None."""

    digest: str
    folder: Path
    alias: str | None


@dataclass(frozen=True)
class Facts:
    """All that is recorded of a run. artifacts: (file or folder, folder in MLflow); live: the channel's digest."""

    experiment: str
    recipe: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Points
    stages: tuple[StageFacts, ...]
    datasets: Mapping[str, str]
    artifacts: tuple[tuple[Path, str], ...]
    version: Version | None
    live: str | None


def tracking_uri(state: Path) -> str:
    """MLFLOW_TRACKING_URI, else the SQLite database in the state directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{state / 'mlflow' / 'mlflow.db'}"


def prepare(state: Path) -> str:
    """Create or migrate the database, one process at a time (several at once break a fresh one); returns its URI."""
    with _locked(state):
        _client(state).search_experiments(max_results=1)
    return tracking_uri(state)


def record(facts: Facts, state: Path) -> dict[str, str]:
    """Write a run's facts; returns run_id and experiment_id of the parent. Doing it again with the same recipe updates
    that run."""
    with _locked(state):
        client = _client(state)
        experiment = _experiment(client, facts.experiment, state)
        failed = any(stage.failed for stage in facts.stages)
        parent = _run(client, experiment, facts.recipe[:12], {_KIND: "run", _RECIPE: facts.recipe})
        _fill(client, parent, facts.tags, facts.points, facts.datasets, facts.params)
        for stage in facts.stages:
            _record_stage(client, experiment, parent, facts.recipe, stage)
        for path, folder in facts.artifacts:
            log = client.log_artifacts if path.is_dir() else client.log_artifact
            log(parent.info.run_id, str(path), folder)
        if facts.version is not None:
            _register(client, facts.experiment, parent, facts.version)
        _follow(client, facts.experiment, facts.live)
        client.set_terminated(parent.info.run_id, "FAILED" if failed else "FINISHED")
    return {"run_id": str(parent.info.run_id), "experiment_id": experiment}


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    (state / "locks").mkdir(parents=True, exist_ok=True)
    with (state / "locks" / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _client(state: Path) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    (state / "mlflow").mkdir(parents=True, exist_ok=True)
    uri = tracking_uri(state)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _experiment(client: Any, name: str, state: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    own = tracking_uri(state).startswith("sqlite:")
    place = (state / "mlflow" / "artifacts").as_uri() if own else None
    return str(client.create_experiment(name, artifact_location=place))


def _run(client: Any, experiment: str, name: str, tags: Mapping[str, str]) -> Any:
    """The run with these tags, made if there is none."""
    query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
    found = client.search_runs([experiment], filter_string=query, max_results=1)
    return found[0] if found else client.create_run(experiment, run_name=name, tags=dict(tags))


def _fill(
    client: Any,
    run: Any,
    tags: Mapping[str, str],
    points: Points,
    datasets: Mapping[str, str],
    params: Mapping[str, str],
) -> None:
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

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


def _record_stage(client: Any, experiment: str, parent: Any, recipe: str, stage: StageFacts) -> None:
    own = {_KIND: "stage", _RECIPE: recipe, _STAGE: stage.name}
    query = f"tags.`{_KEY}` = '{stage.key}' and tags.`{_RECIPE}` != '{recipe}' and tags.`{_STAGE}` = '{stage.name}'"
    before = [] if stage.failed else client.search_runs([experiment], filter_string=query, max_results=1)
    run = _run(client, experiment, stage.name, own | {_PARENT: parent.info.run_id})
    tags = {"nightreel.reused": "true" if before else "false"} | {f"dvc.outs.{p}": md5 for p, md5 in stage.outs.items()}
    if before:
        tags["nightreel.reused_from"] = before[0].info.run_id
    if not stage.failed:
        tags[_KEY] = stage.key
    # What a stage noted (seconds, cache hits) belongs to the run in which it worked.
    notes = {} if before else stage.notes
    points = tuple((name, float(v), 0) for name, v in notes.items() if isinstance(v, int | float))
    tags |= {f"note.{name}": str(v) for name, v in notes.items() if not isinstance(v, int | float)}
    _fill(client, run, tags, stage.points + points, stage.deps, {})
    client.set_terminated(run.info.run_id, "FAILED" if stage.failed else "FINISHED")


def _register(client: Any, name: str, parent: Any, version: Version) -> None:
    """A model version for the bundle, once per digest; the alias `challenger` where it isn't live."""
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name, description="Recommender bundles; the channel decides what is champion.")
    found = _version_of(client, name, version.digest)
    if found is None:
        source = _log_model(client, parent, version)
        tags = {_DIGEST: version.digest, _RECIPE: parent.data.tags[_RECIPE]}
        found = str(client.create_model_version(name, source, parent.info.run_id, tags=tags).version)
    if version.alias:
        client.set_registered_model_alias(name, version.alias, found)


def _log_model(client: Any, parent: Any, version: Version) -> str:
    """Log the bundle as a pyfunc model written as code, with nothing pickled; returns its address."""
    import mlflow.pyfunc

    code = Path(__file__).parent
    # Recorded, not shown: MLflow's advice on type hints and input examples, in spite of any filter.
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings(record=True):
        shutil.copytree(
            code, Path(scratch, code.name), ignore=lambda _, names: {n for n in names if n == "__pycache__"}
        )
        mlflow.pyfunc.save_model(
            path=str(Path(scratch, "model")),
            python_model=str(code / "tracking_model.py"),
            artifacts={"bundle": str(version.folder.resolve())},
            code_paths=[str(Path(scratch, code.name))],
            signature=_signature(),
            pip_requirements=["numpy", "scipy", "pyarrow", "pandas", "pydantic", "pyyaml"],
        )
        client.log_artifacts(parent.info.run_id, str(Path(scratch, "model")), f"model-{version.digest[:12]}")
    return f"{parent.info.artifact_uri}/model-{version.digest[:12]}"


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    lists = (("string", "user_id"), ("string", "item_id"), ("integer", "rank"), ("float", "score"))
    columns = [ColSpec(kind, name) for kind, name in lists]
    return ModelSignature(Schema(columns[:1]), Schema(columns), ParamSchema([ParamSpec("k", "long", 10)]))


def _follow(client: Any, name: str, live: str | None) -> None:
    """Let the alias `champion` follow the channel; it goes where the live version is not registered here."""
    models = client.search_registered_models(filter_string=f"name = '{name}'")
    if not models:
        return
    version, aliases = _version_of(client, name, live) if live else None, models[0].aliases
    if version is not None:
        client.set_registered_model_alias(name, "champion", version)
        if str(aliases.get("challenger")) == version:
            client.delete_registered_model_alias(name, "challenger")
    elif "champion" in aliases:
        client.delete_registered_model_alias(name, "champion")


def _version_of(client: Any, name: str, digest: str) -> str | None:
    found = client.search_model_versions(filter_string=f"name = '{name}' and tags.`{_DIGEST}` = '{digest}'")
    return str(found[0].version) if found else None


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits and _ - . / : and spaces."""
    return re.sub(r"[^\w\-./: ]", "_", name.replace("@", "_at_"))
