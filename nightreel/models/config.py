"""What every model's hyper-parameters share: a frozen, typed class with defaults, next to the model that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nightreel.settings.renamed import MODEL_FIELDS

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0)]


class ModelConfig(BaseModel):
    """Hyper-parameters of a model. A field's docstring gives its effect and unit.

    `scoring_params` names the fields that matter when scoring alone: trying another value of them needs no second fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    scoring_params: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _with_new_names(cls, values: Any) -> Any:
        """Versions of 0.1 hold old names."""
        if not isinstance(values, Mapping):
            return values
        return {name if name in cls.model_fields else MODEL_FIELDS.get(name, name): v for name, v in values.items()}

    def fitting_params(self) -> dict[str, float]:
        """The fields that a fit depends on."""
        return self.model_dump(exclude=set(self.scoring_params))

    def capped(self, max_items: int) -> ModelConfig:
        """The same over at most so many items, where the model has such a limit."""
        own = getattr(self, "max_items", None)
        return self if own is None else self.model_copy(update={"max_items": min(own, max_items)})

    def __str__(self) -> str:
        """`regularization 500, decay 10`."""
        return ", ".join(f"{name} {value:g}" for name, value in self.model_dump().items())
