"""Reads dvc.lock, params.yaml, metrics and curves of a run, as flat names and numbers."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nightreel.errors import UserError
from nightreel.settings import yaml_values
from nightreel.stage import read_json

Points = tuple[tuple[str, float, int], ...]
Hashes = dict[str, str]
_STEPS = ("k", "step", "epoch", "round", "rounds", "trees", "iteration")  # columns that a curve runs along


@dataclass(frozen=True)
class Lock:
    """The stages as in dvc.yaml and dvc.lock.

    order: of dvc.yaml; stages: name → (hash of its lock entry, deps path → md5, outs path → md5), without `record`;
    values: params.yaml; fingerprint: of `stages`; params_fingerprint: of `values`.
    """

    order: tuple[str, ...]
    stages: dict[str, tuple[str, Hashes, Hashes]]
    values: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return _fingerprint({name: key for name, (key, _, _) in self.stages.items()})

    @property
    def params_fingerprint(self) -> str:
        return _fingerprint(self.values)


def read_lock(pipeline: Path, lock: Path, params: Path = Path("params.yaml")) -> Lock:
    """Read the stages of dvc.yaml with their entries in dvc.lock, which may be missing."""
    order = tuple(_yaml(pipeline)["stages"])
    entries = _yaml(lock).get("stages", {}) if lock.exists() else {}
    stages = {
        name: (_fingerprint(entries[name]), _hashes(entries[name], "deps"), _hashes(entries[name], "outs"))
        for name in order
        if name in entries and name != "record"
    }
    return Lock(order, stages, _yaml(params))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """`{"a": {"b": [1]}}` → `{"a.b": "[1]"}`."""
    result: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return result


def numbers(path: Path, prefix: str) -> Points:
    """Every number in a metrics file as (dotted name, value, step 0); none if the file is missing."""
    if not path.exists():
        return ()
    return tuple((name, float(value), 0) for name, value in _leaves(read_json(path), prefix))


def curves(path: Path) -> Points:
    """The columns of a curve's CSV as (`file/text cells/column`, value, step); none without a column of steps."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    step = next((name for name in _STEPS if rows and name in rows[0]), None)
    if step is None:
        return ()
    points = []
    for row in rows:
        cells = {name: _number(cell) for name, cell in row.items() if name != step}
        path_ = "/".join([path.stem, *(row[name] for name, value in cells.items() if value is None)])
        at = int(float(row[step]))
        points += [(f"{path_}/{name}", value, at) for name, value in cells.items() if value is not None]
    return tuple(points)


def _leaves(value: Any, prefix: str) -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [leaf for name, each in value.items() for leaf in _leaves(each, f"{prefix}{name}.")]
    if isinstance(value, int | float):
        return [(prefix.rstrip("."), float(value))]
    return []


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _hashes(entry: Mapping[str, Any], kind: str) -> Hashes:
    """path → md5 of a lock entry's deps or outs."""
    return {each["path"]: each["md5"] for each in entry.get(kind, []) if "md5" in each}


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _yaml(path: Path) -> dict[str, Any]:
    try:
        value = yaml_values.read(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML ({error}). Restore it from version control.") from None
    return value if isinstance(value, dict) else {}
