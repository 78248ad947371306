"""The project's own params.yaml, with changes, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nightreel.settings import yaml_values
from nightreel.settings.params_file import Settings, parse

PARAMS = Path(__file__).parents[2] / "params.yaml"


def settings(**changes: dict[str, Any]) -> Settings:
    """Settings of params.yaml, `changes` merged in by section: settings(finetune={"positions": 2})."""
    values = yaml_values.read(PARAMS.read_text("utf-8"))
    for section, fields in changes.items():
        values[section] |= fields
    return parse(values)
