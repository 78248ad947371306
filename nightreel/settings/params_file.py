"""params.yaml as one frozen, typed object, parsed once at a stage's entry.

Values are in params.yaml only: no field here has a default. A field's docstring states its effect, unit and trade-off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from nightreel.settings import yaml_values
from nightreel.settings.embed import Embed
from nightreel.settings.evaluate import Evaluate, Publish, Record, Refit
from nightreel.settings.finetune import Finetune
from nightreel.settings.renamed import with_new_names
from nightreel.settings.section import Section, SettingsError
from nightreel.settings.understand import Understand
from nightreel.settings.validate import Snapshot, Validate
from nightreel.settings.watch import Watch


class Settings(Section):
    """All settings of a run."""

    snapshot: Snapshot
    validate_: Annotated[Validate, Field(alias="validate")]
    understand: Understand
    embed: Embed
    finetune: Finetune
    evaluate: Evaluate
    refit: Refit
    publish: Publish
    record: Record
    watch: Watch


def explain(error: ValidationError, where: str) -> SettingsError:
    """An error with one line for each invalid field: `params.yaml: evaluate.margin: …`."""
    lines = [f"{where}: {'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()]
    return SettingsError("\n".join(lines) + "\nCorrect the field; docs/parameters.md lists the allowed values.")


def parse(values: dict[str, Any], where: str = "params.yaml") -> Settings:
    """Validate the values of a params.yaml.

    Args:
        values: Sections by name.
        where: Name of the source, for messages.

    Raises:
        SettingsError: Names every invalid field.
    """
    try:
        return Settings.model_validate(with_new_names(values, where))
    except ValidationError as error:
        raise explain(error, where) from None


def read_values(path: Path) -> dict[str, Any]:
    """Read the values of a params.yaml under their present names, unchecked.

    Raises:
        SettingsError: The file is missing or unreadable.
    """
    try:
        values = yaml_values.read(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: can't be read: {error}. Restore it from version control.") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: contains no sections. Restore it from version control.")
    return with_new_names(values, str(path))


def load(path: Path = Path("params.yaml")) -> Settings:
    """Read and validate a params.yaml.

    Raises:
        SettingsError: The file is missing or unreadable, or a field is invalid.
    """
    return parse(read_values(path), str(path))
