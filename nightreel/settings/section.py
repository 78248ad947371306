"""What a section of params.yaml is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of params.yaml, named after the stage that reads it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
