"""The recipe: one hash of everything that a run's result depends on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.stage import UserError

LEFT_OUT = ("publish", "record")
"""Sections of params.yaml that say where results go, not what they are."""
STOOD_FOR = ("source", "moment")
"""Fields of snapshot that something else stands for: the source's fingerprint, and for the moment nothing. What may be
shown at a moment is no part of a version, so that a night whose clock goes on by itself keeps its recipe."""


def digest(value: Any) -> str:
    """sha256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def code_digest(package: Path) -> str:
    """sha256 over the names and contents of a package's modules, and of the learned numbers (.json) beside them."""
    hashed = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.json")]):
        hashed.update(path.relative_to(package).as_posix().encode() + b"\x00" + path.read_bytes() + b"\x00")
    return hashed.hexdigest()


def make_recipe(
    source: str, params: dict[str, Any], package: Path, lock: Path, environment: dict[str, Any]
) -> dict[str, Any]:
    """{"recipe", "parts": {source, params, code, lock, environment}}.

    source: what identifies the data (its fingerprint stands for snapshot.source, so that the same files in another
    folder are the same recipe); raises UserError when the dependency lock file is missing.
    """
    kept = {name: section for name, section in params.items() if name not in LEFT_OUT}
    kept["snapshot"] = {name: value for name, value in kept["snapshot"].items() if name not in STOOD_FOR}
    if not lock.exists():
        raise UserError(f"{lock}: not found: the recipe covers the dependency lock. Restore it from version control.")
    parts = {
        "source": source,
        "params": digest(kept),
        "code": code_digest(package),
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest(),
        "environment": digest(environment),
    }
    return {"recipe": digest(parts), "parts": parts}
