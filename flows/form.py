"""The form of a nightly run in Prefect's UI and API: a box per stage, named after its section of params.yaml.

An empty field keeps the value of params.yaml. Bounds and descriptions come from nightreel.settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from nightreel.models.registry import models
from nightreel.orchestration import overrides
from nightreel.orchestration.dvc import pipeline
from nightreel.settings import yaml_values
from nightreel.settings.embed import Embed
from nightreel.settings.evaluate import Evaluate, Publish
from nightreel.settings.finetune import Finetune
from nightreel.settings.section import Section
from nightreel.settings.validate import Snapshot

HERE = Path(__file__).parent.parent
Model: Any = Literal[tuple(sorted(models()))]
BOUNDS = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt", MinLen: "min_length"}


def setting(section: type[Section], name: str, title: str) -> Any:
    """The form's field for a setting; left empty by default."""
    info = section.model_fields[name]
    bounds = {
        word: getattr(found, word) for found in info.metadata for kind, word in BOUNDS.items() if type(found) is kind
    }
    return Field(default=None, title=title, description=info.description, **bounds)


class Box(BaseModel):
    """Fields that override a section of params.yaml for one run."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def changes(self) -> dict[str, Any]:
        """The fields that were filled in, as plain values."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Plain optional inputs (for unions the UI would ask for the type first), each with the value it overrides."""
        schema = handler.resolve_ref_schema(handler(core))
        now = _params().get(cls.__name__.removesuffix("Form").lower(), {})
        for name, field in schema["properties"].items():
            kinds = [kind for kind in field.pop("anyOf", []) if kind.get("type") != "null"]
            field.update(*kinds)
            if field.get("default", ...) is None:
                del field["default"]
            field["description"] = " ".join(field["description"].split())
            if name in now:
                field["description"] += f" Default (params.yaml): `{_brief(now[name])}`."
        return schema


class SnapshotForm(Box):
    """Source and pseudonyms. Empty fields keep the values of params.yaml."""

    source: str | None = setting(Snapshot, "source", "Source")
    pseudonymise: Literal["auto", "on", "off"] | None = setting(Snapshot, "pseudonymise", "Pseudonymise user ids")


class EmbedForm(Box):
    """Encoder of the content vectors. Empty fields keep the values of params.yaml."""

    encoder: str | None = setting(Embed, "encoder", "Encoder")
    device: Literal["auto", "cpu", "cuda", "mps"] | None = setting(Embed, "device", "Device")


class FinetuneForm(Box):
    """Models and training. Empty fields keep the values of params.yaml."""

    members: list[Model] | None = setting(Finetune, "members", "Models")
    encoder_steps: int | None = setting(Finetune, "encoder_steps", "Encoder steps")
    candidates: int | None = setting(Finetune, "candidates", "Candidates")
    seed: int | None = setting(Finetune, "seed", "Seed")


class EvaluateForm(Box):
    """Thresholds of the gate. Empty fields keep the values of params.yaml."""

    margin: float | None = setting(Evaluate, "margin", "Margin")
    confidence: float | None = setting(Evaluate, "confidence", "Confidence")


class PublishForm(Box):
    """Publication of the result. Empty fields keep the values of params.yaml."""

    dry_run: bool | None = setting(Publish, "dry_run", "Dry run")


class Run(Box):
    """Options of the run and of its summary."""

    force: list[str] = Field(default=[], title="Stages to rerun")
    """Stages that run again even if nothing changed."""
    k: int = Field(default=10, ge=1, le=50, title="Recommendations shown")
    """Number of recommendations for the sample user in the summary."""
    minutes: float | None = Field(default=None, gt=0, le=1440, title="Time limit of a stage, minutes")
    """A stage that takes longer is stopped, and the run fails. Empty: no limit."""
    settings: list[str] = Field(default=[], title="Other settings")
    """Any other setting of params.yaml, one `section.field=value` per entry."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Offer the stages of dvc.yaml and the settings of params.yaml."""
        schema = super().__get_pydantic_json_schema__(core, handler)
        schema["properties"]["settings"]["items"] = {"type": "string", "pattern": setting_pattern()}
        schema["properties"]["force"]["items"] = {"type": "string", "enum": stage_names()}
        return schema


def stage_names() -> list[str]:
    """The stages of this checkout."""
    return [stage.name for stage in pipeline.read(HERE)]


def setting_pattern() -> str:
    """A regular expression for `section.field=value`, with the sections and fields of params.yaml alone."""
    names = "|".join(rf"{section}\.({'|'.join(fields)})" for section, fields in _params().items())
    return rf"^\s*({names})(\.[^=\s]+)?\s*="


def _params() -> Mapping[str, Any]:
    """The sections of params.yaml, parsed once for all boxes and again when the file has changed."""
    return _parsed((HERE / "params.yaml").read_text("utf-8"))


@cache
def _parsed(text: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml_values.read(text)
    return found


def _brief(value: Any) -> str:
    """A setting's value as one line; for a mapping or list, its names."""
    return ", ".join(value) if isinstance(value, dict | list) else json.dumps(value).strip('"')


def changes(boxes: Mapping[str, Box], texts: list[str]) -> dict[str, Any]:
    """Return all changes of a filled-in form; a box's field takes precedence over the same setting among the texts."""
    filled = {f"{section}.{field}": value for section, box in boxes.items() for field, value in box.changes().items()}
    return overrides.parse(texts) | filled
