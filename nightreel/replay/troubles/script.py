"""A script of trouble: what happens on which night of a replay, and what is expected of the night.

expect: [promoted, refreshed]        # of every night that says nothing else
nights:
  - night: 3                         # the third night of the replay
    troubles:
      - {kind: takedown, items: 20}
      - {kind: killed stage, stage: finetune}
    expect: failed                   # an outcome, or a list of those that are right
    named: [finetune, SIGKILL]       # texts that `nightreel status` must say of it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from nightreel.errors import UserError
from nightreel.monitoring.night import Outcome
from nightreel.replay.troubles.kinds import OF_THE_NEWEST_STEP, ChangedSchema, Count, KilledStage, Trouble
from nightreel.settings import yaml_values
from nightreel.settings.section import Section

Seen = Outcome | Literal["missed"]
"""What came of a night; missed: it did not begin."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Expected = Annotated[tuple[Seen, ...], BeforeValidator(_as_list), Field(min_length=1)]


class ScriptedNight(Section):
    """What happens on one night."""

    night: Count
    """Its number, from 1."""
    troubles: Annotated[tuple[Trouble, ...], Field(min_length=1)]
    expect: Expected | None = None
    """The outcomes that are right; none: those of the whole script."""
    named: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    """Texts that the status of this night must contain."""


class Script(Section):
    """A whole script."""

    expect: Expected = ("promoted", "refreshed")
    """The outcomes that are right for a night that says nothing else."""
    nights: Annotated[tuple[ScriptedNight, ...], Field(min_length=1)]

    def on(self, number: int) -> ScriptedNight | None:
        """What happens on a night. number: from 1."""
        return next((each for each in self.nights if each.night == number), None)

    def expected(self, number: int) -> tuple[Seen, ...]:
        """The outcomes that are right for a night. number: from 1."""
        night = self.on(number)
        return self.expect if night is None or night.expect is None else night.expect


def read(path: Path) -> Script:
    """Read a script.

    Raises:
        UserError: The file can't be read, or a line of it is not valid; names the line and the field.
    """
    try:
        text = path.read_text("utf-8")
        values = yaml_values.read(text)
        tree = yaml.compose(text, yaml_values.FAST)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--script {path}: can't be read: {error}. Name a YAML file in UTF-8.") from None
    except yaml.YAMLError as error:
        raise UserError(f"--script {path}: is not valid YAML: {' '.join(str(error).split())}. Correct it.") from None
    try:
        script = Script.model_validate({} if values is None else values)
    except ValidationError as error:
        lines = [f"{path}:{_line(tree, each['loc'])}: {_named(each['loc'])}: {each['msg']}" for each in error.errors()]
        raise UserError("\n".join([*lines, "docs/operating.md describes the script."])) from None
    return script


@dataclass(frozen=True)
class Scope:
    """The replay that a script is for. nights: their number; stages: names; columns: of the source, by table."""

    nights: int
    stages: Sequence[str]
    columns: Mapping[str, Set[str]]


def require_fitting(script: Script, path: Path, scope: Scope) -> None:
    """Check a script against its replay.

    Raises:
        UserError: A trouble can't happen; names the file and the night.
    """
    counts = Counter(night.night for night in script.nights)
    faults = [f"night {number}: is described twice. Join both." for number, count in counts.items() if count > 1]
    for night in script.nights:
        found = [fault for trouble in night.troubles if (fault := _unfit(trouble, night.night, scope))]
        if night.night > scope.nights:
            found = [f"the replay has {scope.nights} nights. Give it more nights, or another number."]
        faults += [f"night {night.night}: {fault}" for fault in found]
    if faults:
        raise UserError("\n".join(f"{path}: {fault}" for fault in faults))


def _unfit(trouble: Trouble, night: int, scope: Scope) -> str | None:
    """Why a trouble can't happen; None if it can."""
    if night == 1 and isinstance(trouble, OF_THE_NEWEST_STEP):
        return f"{trouble.kind} needs a night before it. Begin with night 2."
    if isinstance(trouble, KilledStage) and trouble.stage not in scope.stages:
        return f"{trouble.kind}: there is no stage {trouble.stage!r}. Choose one of {', '.join(scope.stages)}."
    if isinstance(trouble, ChangedSchema):
        there = scope.columns.get(trouble.table, set())
        if trouble.column not in there:
            has = ", ".join(sorted(there))
            return f"{trouble.kind}: table {trouble.table} has no column {trouble.column!r}. It has {has}."
    return None


def _line(tree: yaml.Node | None, place: tuple[int | str, ...]) -> int:
    """The line, from 1, of the innermost node on the way to a place that is in the file."""
    line = 0 if tree is None else tree.start_mark.line
    for part in place:
        found = None
        if isinstance(tree, yaml.MappingNode):
            found = next((value for key, value in tree.value if key.value == part), None)
        elif isinstance(tree, yaml.SequenceNode) and isinstance(part, int) and part < len(tree.value):
            found = tree.value[part]
        if found is not None:
            tree, line = found, found.start_mark.line
    return line + 1


def _named(place: tuple[int | str, ...]) -> str:
    """A place in words, with positions from 1: `nights 2, troubles 1, items`."""
    words: list[str] = []
    for part in place:
        if isinstance(part, int) and words:
            words[-1] += f" {part + 1}"
        else:
            words.append(str(part))
    return ", ".join(words) or "the script"
