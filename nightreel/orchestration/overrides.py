"""Changed settings of one run: applies `section.field=value` texts and form values to a params.yaml, with checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from nightreel import settings
from nightreel.errors import UserError
from nightreel.models.registry import require_known
from nightreel.settings.renamed import new_path, with_new_names

Changes = Mapping[str, Any]  # dotted name → value
FOLDERS = ("snapshot.source", "snapshot.media")
"""Settings whose value may be a path relative to the working directory."""


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
            value = yaml.safe_load(raw)
        except yaml.YAMLError:
            raise UserError(
                f"--set {text!r}: the value is not valid YAML. Quote it, for example --set '{name}=\"…\"'."
            ) from None
        # A date stays text, as in params.yaml, because DVC's lock file can't hold dates.
        changes[new_path(name.strip())] = raw.strip() if isinstance(value, date) else value
    return changes


def changed(path: Path, changes: Changes) -> dict[str, Any]:
    """Return the values of a params.yaml with the changes applied.

    Raises:
        UserError: A field is unknown, or its value is not valid.
    """
    settings.load(path)
    values = with_new_names(yaml.safe_load(path.read_text("utf-8")), str(path))
    for name, value in changes.items():
        *parents, field = name.split(".")
        place: Any = values
        for depth, part in enumerate([*parents, field]):
            if not isinstance(place, dict) or part not in place:
                where, there = (
                    ".".join(name.split(".")[:depth]),
                    ", ".join(place) if isinstance(place, dict) else "none",
                )
                raise UserError(f"{name}: no such setting; {where or 'params.yaml'} has {there}. Correct the name.")
            parent, place = place, place[part]
        parent[field] = _chosen(name, place, value)
    require_known(settings.parse(values, "changed settings").finetune.members)
    return values


def absolute(changes: Changes) -> Changes:
    """Make the paths of existing folders absolute, because a changed run takes place in another folder."""
    named = {name: Path(str(changes[name])).expanduser() for name in FOLDERS if changes.get(name)}
    return {**changes, **{name: str(path.resolve()) for name, path in named.items() if path.exists()}}


def write(path: Path, changes: Changes) -> None:
    """Apply the changes to a run's own copy of params.yaml; its comments are lost."""
    if changes:
        path.write_text(yaml.safe_dump(changed(path, changes), sort_keys=False, allow_unicode=True), "utf-8")


def _chosen(name: str, old: Any, new: Any) -> Any:
    """A list given for a mapping selects some of its entries: `finetune.members=[ease, slist]`."""
    if not (isinstance(old, dict) and isinstance(new, list)):
        return new
    unknown = [entry for entry in new if entry not in old]
    if unknown:
        raise UserError(f"{name}: there is no entry {unknown[0]!r}. Choose from {', '.join(old)}.")
    return {entry: value for entry, value in old.items() if entry in new}
