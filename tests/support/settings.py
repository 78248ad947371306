"""The project's own params.yaml, with changes, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from nightreel.settings.params_file import Settings, parse
from nightreel.settings.yaml_values import FAST

PARAMS = Path(__file__).parents[2] / "params.yaml"


def settings(**changes: dict[str, Any]) -> Settings:
    """Settings of params.yaml, `changes` merged in by section: settings(finetune={"positions": 2})."""
    values = yaml.load(PARAMS.read_text("utf-8"), FAST)
    for section, fields in changes.items():
        values[section] |= fields
    return parse(values)
