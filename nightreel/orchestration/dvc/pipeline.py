"""The stages and their order, read from dvc.yaml, which is the only place that lists them."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from nightreel.errors import UserError
from nightreel.settings import yaml_values


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml."""

    name: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    """Everything it writes: outs, metrics and plots."""
    uncached: tuple[str, ...]
    """The outs that DVC doesn't keep in its cache (`cache: false`): small files that the repository versions."""
    upstream: tuple[str, ...]
    """Stages whose outs it reads, in dvc.yaml's order."""
    outside: bool
    """`always_changed`: the stage accesses the outside world, so it always runs and may be retried."""

    @property
    def cached(self) -> tuple[str, ...]:
        """The outs that are in DVC's cache."""
        return tuple(out for out in self.outs if out not in self.uncached)


def read(root: Path) -> tuple[Stage, ...]:
    """Read the stages of root/dvc.yaml in topological order (ties: the file's order).

    Raises:
        UserError: The file is missing, has no list of stages, or has a cycle.
    """
    path = root / "dvc.yaml"
    try:
        raw = yaml_values.read(path.read_text("utf-8"))["stages"]
        found = {name: _paths(body) for name, body in raw.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: can't be read as a list of stages ({error}). Restore it from version control."
        ) from None
    upstream = {
        name: tuple(other for other, (_, outs, _) in found.items() if other != name and _touches(deps, outs))
        for name, (deps, _, _) in found.items()
    }
    try:
        order = list(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        raise UserError(f"{path}: the stages {' → '.join(error.args[1])} form a cycle. Remove one dep.") from None
    return tuple(
        Stage(name, str(raw[name]["cmd"]), *found[name], upstream[name], bool(raw[name].get("always_changed", False)))
        for name in order
    )


def closure(stages: tuple[Stage, ...], name: str) -> frozenset[str]:
    """A stage and all whose outs it needs, directly or not."""
    upstream = {stage.name: stage.upstream for stage in stages}
    found, open_ones = {name}, [name]
    while open_ones:
        new = set(upstream[open_ones.pop()]) - found
        found |= new
        open_ones += new
    return frozenset(found)


def shown(stages: tuple[Stage, ...]) -> dict[str, tuple[str, ...]]:
    """The transitive reduction of the graph, for a readable picture: stage → its direct predecessors."""
    above: dict[str, set[str]] = {}
    for stage in stages:
        above[stage.name] = {far for near in stage.upstream for far in above[near]} | set(stage.upstream)
    return {
        stage.name: tuple(name for name in stage.upstream if not any(name in above[other] for other in stage.upstream))
        for stage in stages
    }


def _paths(body: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Deps, outs and uncached outs of a stage's body; an entry is a path or a mapping of one path to its options."""
    outs = [entry for key in ("outs", "metrics", "plots") for entry in body.get(key) or []]
    uncached = [e for e in outs if isinstance(e, dict) and next(iter(e.values())).get("cache") is False]
    return _names(body.get("deps") or []), _names(outs), _names(uncached)


def _names(entries: list[Any]) -> tuple[str, ...]:
    return tuple(str(next(iter(entry))) if isinstance(entry, dict) else str(entry) for entry in entries)


def _touches(deps: tuple[str, ...], outs: tuple[str, ...]) -> bool:
    return any(
        PurePosixPath(dep).is_relative_to(out) or PurePosixPath(out).is_relative_to(dep) for dep in deps for out in outs
    )
