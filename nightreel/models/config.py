"""The base class of every model's hyper-parameters: frozen and typed, with defaults, next to the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from nightreel.settings.renamed import MODEL_FIELDS

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0)]


class ModelConfig(BaseModel):
    """Hyper-parameters of a model. A field's docstring states its effect and unit.

    Attributes:
        scoring_params: Names of the fields that are used only in scoring. Other values of them need no new fit.
        sections: Names of the fields that are whole sections of `finetune`, for this model alone. They are no
            hyper-parameters: nothing is searched among them, and `SelectedParams` holds them under the same name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    scoring_params: ClassVar[frozenset[str]] = frozenset()
    sections: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _with_new_names(cls, values: Any) -> Any:
        """Accept the names that versions of 0.1 contain."""
        if not isinstance(values, Mapping):
            return values
        return {name if name in cls.model_fields else MODEL_FIELDS.get(name, name): v for name, v in values.items()}

    @classmethod
    def hyper_fields(cls) -> dict[str, FieldInfo]:
        """The fields that are hyper-parameters, by name."""
        return {name: info for name, info in cls.model_fields.items() if name not in cls.sections}

    def hyper_params(self) -> dict[str, float]:
        """The hyper-parameters, by name."""
        return self.model_dump(exclude=set(self.sections))

    def fitting_params(self) -> dict[str, float]:
        """The hyper-parameters that the fit depends on."""
        return self.model_dump(exclude=set(self.scoring_params | self.sections))

    def capped(self, max_items: int) -> ModelConfig:
        """The same with `max_items` limited, where the model has that field."""
        limit = getattr(self, "max_items", None)
        return self if limit is None else self.model_copy(update={"max_items": min(limit, max_items)})

    def __str__(self) -> str:
        """`regularization 500, decay 10`."""
        return ", ".join(f"{name} {value:g}" for name, value in self.hyper_params().items())
