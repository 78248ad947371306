"""The base class of every section of params.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from nightreel.errors import UserError

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A section of params.yaml: frozen, without unknown fields. Field docstrings are shown in the form and the docs."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SettingsError(UserError):
    """params.yaml can't be read, or one of its fields is unknown, missing or out of range."""
