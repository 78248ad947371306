"""The form of a nightly run, as Prefect's UI and API show it: a box per stage, named after its section of params.yaml.

An empty field means: as in params.yaml. Bounds and descriptions are those of tasks/settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from nightreel import settings
from nightreel.models.registry import models
from nightreel.orchestration import overrides
from nightreel.orchestration.dvc import pipeline
from nightreel.settings import Section

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
    """Fields that change a section of params.yaml for one run."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def changes(self) -> dict[str, Any]:
        """The fields that were filled in, as plain values."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Plain inputs that may stay empty (for unions the UI asks the type first), each with the value it replaces."""
        schema = handler.resolve_ref_schema(handler(core))
        now = yaml.safe_load((HERE / "params.yaml").read_text("utf-8")).get(
            cls.__name__.removesuffix("Form").lower(), {}
        )
        for name, field in schema["properties"].items():
            kinds = [kind for kind in field.pop("anyOf", []) if kind.get("type") != "null"]
            field.update(*kinds)
            if field.get("default", ...) is None:
                del field["default"]
            if name in now:
                field["description"] = f"{field['description']} In params.yaml: `{_brief(now[name])}`."
        return schema


class SnapshotForm(Box):
    """What the run reads. Empty fields: as in params.yaml."""

    source: str | None = setting(settings.Snapshot, "source", "Source")
    pseudonymise: Literal["auto", "on", "off"] | None = setting(settings.Snapshot, "pseudonymise", "Pseudonyms")


class EmbedForm(Box):
    """How items become vectors. Empty fields: as in params.yaml."""

    encoder: str | None = setting(settings.Embed, "encoder", "Encoder")
    device: Literal["auto", "cpu", "cuda", "mps"] | None = setting(settings.Embed, "device", "Device")


class FinetuneForm(Box):
    """What is trained. Empty fields: as in params.yaml."""

    members: list[Model] | None = setting(settings.Finetune, "members", "Models")
    encoder_steps: int | None = setting(settings.Finetune, "encoder_steps", "Encoder steps")
    candidates: int | None = setting(settings.Finetune, "candidates", "Candidates")
    seed: int | None = setting(settings.Finetune, "seed", "Seed")


class EvaluateForm(Box):
    """When a challenger is good enough. Empty fields: as in params.yaml."""

    margin: float | None = setting(settings.Evaluate, "margin", "Margin")
    confidence: float | None = setting(settings.Evaluate, "confidence", "Confidence")


class PublishForm(Box):
    """What becomes of the result. Empty fields: as in params.yaml."""

    dry_run: bool | None = setting(settings.Publish, "dry_run", "Dry run")


class Run(Box):
    """How the run goes, and what it shows."""

    force: list[str] = Field(default=[], title="Stages to force")
    """Stages that run again although nothing changed."""
    k: int = Field(default=10, ge=1, le=50, title="Recommendations shown")
    """How many recommendations of a sample user the summary lists."""
    minutes: float | None = Field(default=None, gt=0, le=1440, title="Time limit of a stage")
    """Minutes after which a stage is stopped and the run fails; empty: none."""
    settings: list[str] = Field(default=[], title="Further settings")
    """Any other setting of params.yaml, one `section.field=value` each."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The stages to choose from are dvc.yaml's, the settings params.yaml's."""
        schema = super().__get_pydantic_json_schema__(core, handler)
        schema["properties"]["settings"]["items"] = {"type": "string", "pattern": setting_pattern()}
        schema["properties"]["force"]["items"] = {"type": "string", "enum": stage_names()}
        return schema


def stage_names() -> list[str]:
    """The stages of this checkout."""
    return [stage.name for stage in pipeline.read(HERE)]


def setting_pattern() -> str:
    """A regular expression for `section.field=value`, with the sections and fields of params.yaml alone."""
    there = yaml.safe_load((HERE / "params.yaml").read_text("utf-8"))
    names = "|".join(rf"{section}\.({'|'.join(fields)})" for section, fields in there.items())
    return rf"^\s*({names})(\.[^=\s]+)?\s*="


def _brief(value: Any) -> str:
    """A setting's value in a line; of named entries, the names."""
    return ", ".join(value) if isinstance(value, dict | list) else json.dumps(value).strip('"')


def changes(boxes: Mapping[str, Box], texts: list[str]) -> dict[str, Any]:
    """All that a filled-in form changes; a box's field wins over the same setting among the texts."""
    filled = {f"{section}.{field}": value for section, box in boxes.items() for field, value in box.changes().items()}
    return overrides.parse(texts) | filled
