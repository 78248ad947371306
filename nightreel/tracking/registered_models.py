"""The registered model in MLflow: a version per bundle, and the alias `champion`, which follows the channel."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from nightreel.tracking.facts import Version

RECIPE, DIGEST = "nightreel.recipe", "nightreel.digest"


def register(client: Any, name: str, parent: Any, version: Version, say: Callable[[str], None]) -> None:
    """A model version for the bundle, once per digest; the alias `challenger` where it isn't live.

    Args:
        client: MLflow's client.
        name: Of the registered model; made where there is none.
        parent: The run that made the bundle.
        version: The bundle.
        say: Takes a line where a version had lost its files.
    """
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name, description="Recommender bundles; the channel decides what is champion.")
    found = _version_of(client, name, version.digest)
    if found is not None and not _has_files(client, found, version):
        client.delete_model_version(name, found.version)
        say(f"version {found.version} of model {name} had lost its files in MLflow: registered anew")
        found = None
    if found is None:
        source = _log_model(client, parent, version)
        tags = {DIGEST: version.digest, RECIPE: parent.data.tags[RECIPE]}
        found = client.create_model_version(name, source, parent.info.run_id, tags=tags)
    if version.alias:
        client.set_registered_model_alias(name, version.alias, str(found.version))


def follow(client: Any, name: str, live: str | None) -> None:
    """Let the alias `champion` follow the channel; it goes where the live version is not registered here.

    Args:
        client: MLflow's client.
        name: Of the registered model.
        live: Digest that the channel points to, if it points to any.
    """
    models = client.search_registered_models(filter_string=f"name = '{name}'")
    if not models:
        return
    found, aliases = _version_of(client, name, live) if live else None, models[0].aliases
    if found is not None:
        client.set_registered_model_alias(name, "champion", str(found.version))
        if str(aliases.get("challenger")) == str(found.version):
            client.delete_registered_model_alias(name, "challenger")
    elif "champion" in aliases:
        client.delete_registered_model_alias(name, "champion")


def _version_of(client: Any, name: str, digest: str) -> Any:
    found = client.search_model_versions(filter_string=f"name = '{name}' and tags.`{DIGEST}` = '{digest}'")
    return found[0] if found else None


def _folder(version: Version) -> str:
    """Where a run keeps the model."""
    return f"model-{version.digest[:12]}"


def _has_files(client: Any, found: Any, version: Version) -> bool:
    try:
        listed = client.list_artifacts(found.run_id, _folder(version))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # the run is gone for good
            return False
        raise
    return any(file.path.endswith("/MLmodel") for file in listed)


def _log_model(client: Any, parent: Any, version: Version) -> str:
    """Log the bundle as a pyfunc model written as code, with nothing pickled; returns its address."""
    code = Path(__file__).parents[1]
    # Recorded, not shown: MLflow's advice on type hints and input examples, in spite of any filter.
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings(record=True):
        shutil.copytree(
            code, Path(scratch, code.name), ignore=lambda _, names: {n for n in names if n == "__pycache__"}
        )
        mlflow.pyfunc.save_model(
            path=str(Path(scratch, "model")),
            python_model=str(code / "tracking" / "mlflow_model.py"),
            artifacts={"bundle": str(version.folder.resolve())},
            code_paths=[str(Path(scratch, code.name))],
            signature=_signature(),
            pip_requirements=["numpy", "scipy", "pyarrow", "pandas", "pydantic", "pyyaml"],
        )
        client.log_artifacts(parent.info.run_id, str(Path(scratch, "model")), _folder(version))
    return f"{parent.info.artifact_uri}/{_folder(version)}"


def _signature() -> Any:
    lists = (("string", "user_id"), ("string", "item_id"), ("integer", "rank"), ("float", "score"))
    columns = [ColSpec(kind, name) for kind, name in lists]
    return ModelSignature(Schema(columns[:1]), Schema(columns), ParamSchema([ParamSpec("k", "long", 10)]))
