"""The recipe: one hash of everything that a run's result depends on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from nightreel.errors import UserError
from nightreel.settings import yaml_values

LEFT_OUT = ("publish", "record", "watch")
"""Sections of params.yaml about where results go and who is told, which don't change them."""
STOOD_FOR = ("source", "moment")
"""Fields of snapshot that are left out: the source's fingerprint replaces its address, and the time has no effect on
a version, so that runs at different times have the same recipe."""


CODE = ("nightreel/", "tasks/")
READING = (
    "nightreel/data",
    "nightreel/understanding/field_cache.py",
    "nightreel/understanding/text",
    "tasks/snapshot.py",
)
"""Code of the stage `snapshot`, which has none in dvc.yaml because it always runs."""


def digest(value: Any) -> str:
    """sha256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def code_digest(root: Path, paths: Iterable[str]) -> str:
    """sha256 over the names and contents of files; of a folder, its modules and trained numbers (.json).

    Args:
        root: The checkout.
        paths: Files and folders below it, in any order.
    """
    hashed = hashlib.sha256()
    for name in sorted({name for path in paths for name in _files(root, path)}):
        hashed.update(name.encode() + b"\x00" + (root / name).read_bytes() + b"\x00")
    return hashed.hexdigest()


def computing_code(root: Path) -> list[str]:
    """The code that a run's result depends on: the code that reads the source, and all dependencies of dvc.yaml's
    stages.

    Code that only shows results (report, terminal, service) is left out: a changed colour of a page is no new recipe,
    and does not lift a rollback's block. Raises UserError if dvc.yaml can't be read.
    """
    path = root / "dvc.yaml"
    try:
        stages = yaml_values.read(path.read_text("utf-8"))["stages"].values()
        deps = {dep for stage in stages for dep in stage.get("deps", []) if dep.startswith(CODE)}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: can't be read as a list of stages ({error}). Restore it from version control."
        ) from None
    return sorted({*READING, *deps})


def _files(root: Path, path: str) -> Iterator[str]:
    """Names of a folder's files, or the file's own, relative to the root; by os.walk, as every night begins with it."""
    if not (root / path).is_dir():
        yield from [path] if (root / path).exists() else []
    for folder, _, names in os.walk(root / path):
        within = os.path.relpath(folder, root).replace(os.sep, "/")
        yield from (f"{within}/{name}" for name in names if name.endswith((".py", ".json")))


def make_recipe(
    source: str, params: dict[str, Any], code: str, lock: Path, environment: dict[str, Any]
) -> dict[str, Any]:
    """The recipe of a run: a hash of everything that its results depend on.

    Args:
        source: Fingerprint of the data. It replaces snapshot.source, so that the same files in another folder have
            the same recipe.
        params: All parameters.
        code: Digest of the compute stages' code, see `computing_code`.
        lock: The dependency lock file.
        environment: Device, dtype, threads and CPU features.

    Returns:
        {"recipe", "parts": {source, params, code, lock, environment}}.

    Raises:
        UserError: The dependency lock file is missing.
    """
    kept = {name: section for name, section in params.items() if name not in LEFT_OUT}
    kept["snapshot"] = {name: value for name, value in kept["snapshot"].items() if name not in STOOD_FOR}
    if not lock.exists():
        raise UserError(f"{lock}: not found; it is part of the recipe. Restore it from version control.")
    parts = {
        "source": source,
        "params": digest(kept),
        "code": code,
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest(),
        "environment": digest(environment),
    }
    return {"recipe": digest(parts), "parts": parts}
