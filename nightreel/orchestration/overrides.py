"""Changed settings of one run: applies `section.field=value` texts and form values to a params.yaml, with checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml

from nightreel.errors import UserError
from nightreel.models.registry import models, require_known
from nightreel.settings import params_file, yaml_values
from nightreel.settings.renamed import new_path
from nightreel.settings.section import Section

Changes = Mapping[str, Any]  # dotted name → value
FOLDERS = ("snapshot.source", "snapshot.media")
"""Settings whose value may be a path relative to the working directory."""
SWITCH = {"on": True, "yes": True, "off": False, "no": False}


def parse(texts: Iterable[str]) -> dict[str, Any]:
    """Parse `--set` texts; values are YAML (`[a, b]`, `0.05`, `true`).

    Raises:
        UserError: A text is not `section.field=value`, or its value is not YAML.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, raw = text.partition("=")
        if not (equals and all(name.strip().split(".")) and "." in name):
            raise UserError(
                f"--set {text!r}: is not of the form section.field=value. Example: --set evaluate.margin=0.05."
            )
        try:
            changes[new_path(name.strip())] = yaml_values.read(raw)
        except yaml.YAMLError:
            raise UserError(
                f"--set {text!r}: the value is not valid YAML. Quote it, for example --set '{name}=\"…\"'."
            ) from None
    return changes


def changed(path: Path, changes: Changes) -> dict[str, Any]:
    """Return the values of a params.yaml with the changes applied.

    Raises:
        UserError: A field is unknown, or its value is not valid.
    """
    values = params_file.read_values(path)
    params_file.parse(values, str(path))
    for name, value in changes.items():
        *parents, field = name.split(".")
        place: Any = values
        for depth, part in enumerate(parents):
            place = _below(place, part, name, depth)
        new = isinstance(place, dict) and field not in place
        old = _below(place, field, name, len(parents))
        place[field] = value if new else _chosen(name, old, value)
    parsed = params_file.parse(values, "changed settings").finetune
    require_known(parsed.members, "finetune.members")
    require_known(parsed.with_many, "finetune.with_many")
    return values


def _below(place: Any, part: str, name: str, depth: int) -> Any:
    """The value of a part of a setting's name. Where params.yaml lists some of many possible names (members, their
    fields, event types), another one is added, empty; its value is checked afterwards."""
    above = name.split(".")[:depth]
    if isinstance(place, dict) and part not in place and _takes_any(above):
        place[part] = {}
    if not isinstance(place, dict) or part not in place:
        there = ", ".join(place) if isinstance(place, dict) else "none"
        raise UserError(f"{name}: no such setting; {'.'.join(above) or 'params.yaml'} has {there}. Correct the name.")
    return place[part]


def _takes_any(path: list[str]) -> bool:
    """Whether a setting is a mapping with names of the user's choice."""
    kind: Any = params_file.Settings
    for part in path:
        if isinstance(kind, type) and issubclass(kind, Section):
            fields = {info.alias or name: info.annotation for name, info in kind.model_fields.items()}
            kind = fields.get(part)
        elif get_origin(kind) in (dict, Mapping):
            kind = get_args(kind)[1]
        else:
            return False
    return get_origin(kind) in (dict, Mapping)


def absolute(changes: Changes) -> Changes:
    """Make the paths of existing folders absolute, because a changed run takes place in another folder."""
    named = {name: Path(str(changes[name])).expanduser() for name in FOLDERS if changes.get(name)}
    return {**changes, **{name: str(path.resolve()) for name, path in named.items() if path.exists()}}


def write(path: Path, changes: Changes) -> None:
    """Apply the changes to a run's own copy of params.yaml; its comments are lost."""
    if changes:
        path.write_text(yaml.safe_dump(changed(path, changes), sort_keys=False, allow_unicode=True), "utf-8")


def _chosen(name: str, old: Any, new: Any) -> Any:
    """The new value in the form of the old one.

    A list given for a mapping selects some of its entries, and adds members with their defaults:
    `finetune.members=[ease, ials]`. A switch takes on, off, yes and no, too.
    """
    if isinstance(old, bool) and isinstance(new, str):
        return SWITCH.get(new.lower(), new)
    if isinstance(old, float) and isinstance(new, str):
        return _number(new)
    if not (isinstance(old, dict) and isinstance(new, list)):
        return new
    known = [*old, *(model for model in models() if model not in old)] if name == "finetune.members" else [*old]
    unknown = [entry for entry in new if entry not in known]
    if unknown:
        raise UserError(f"{name}: there is no entry {unknown[0]!r}. Choose from {', '.join(known)}.")
    return {entry: old.get(entry, {}) for entry in known if entry in new}


def _number(text: str) -> float | str:
    """A number that YAML takes for text, such as 1e-3; other text stays, and is refused by its field."""
    try:
        return float(text)
    except ValueError:
        return text
