"""The registry of models. Each registers itself in its own module, under one name or several:

    @register("ease", "ease_long", config=EaseConfig, paper="Steck, WWW 2019", cost="…", ceiling="…")
    class Ease(ItemToItem): ...

Several names allow several instances with different hyper-parameters: `slist_short` uses the last few items to predict
several next ones, `ease_long` most of a history. The ranker benefits from both.

Models are found by location: every module of the packages in ROOMS, and `model.py` of their sub-packages. Training code
that needs more than numpy and scipy is in another module of such a sub-package, and is imported only for fitting.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from nightreel.errors import UserError
from nightreel.models.base import Recommender
from nightreel.models.config import ModelConfig

ROOMS = tuple(f"nightreel.models.{name}" for name in ("baselines", "neighbors", "linear", "factorization", "neural"))
R = TypeVar("R", bound=type[Any])


@dataclass(frozen=True)
class ModelSpec:
    """The description of a model.

    Attributes:
        name: As in `finetune.members`.
        cls: Its class.
        config: The class of its hyper-parameters.
        paper: Source of the method.
        cost: Memory and time.
        ceiling: Amount of data that it is practical for.
    """

    name: str
    cls: type[Recommender]
    config: type[ModelConfig]
    paper: str
    cost: str
    ceiling: str

    def grid(self, values: Mapping[str, Sequence[float]]) -> list[ModelConfig]:
        """All combinations of the values by field, the last field varying fastest; other fields have their defaults."""
        combinations: list[dict[str, float]] = [{}]
        for name, choices in values.items():
            combinations = [{**chosen, name: choice} for chosen in combinations for choice in choices]
        return [self.config.model_validate(chosen) for chosen in combinations]


_SPECS: dict[str, ModelSpec] = {}


def register(*names: str, config: type[ModelConfig], paper: str, cost: str, ceiling: str) -> Callable[[R], R]:
    """Class decorator that registers a model; see the module's docstring and `ModelSpec` for the arguments."""

    def registered(cls: R) -> R:
        _SPECS.update({name: ModelSpec(name, cls, config, paper, cost, ceiling) for name in names})
        return cls

    return registered


@cache
def models() -> Mapping[str, ModelSpec]:
    """All registered models by name."""
    for module in modules():
        import_module(module)
    return MappingProxyType(_SPECS)


def modules() -> Iterator[str]:
    """Names of the modules that may contain a model."""
    for room in ROOMS:
        for module in pkgutil.iter_modules(import_module(room).__path__, f"{room}."):
            yield f"{module.name}.model" if module.ispkg else module.name


def spec(name: str) -> ModelSpec:
    """The model of that name.

    Raises:
        UserError: There is none.
    """
    if name not in models():
        raise UserError(
            f"finetune.members: {name}: there is no such model. Choose one of {', '.join(sorted(models()))}."
        )
    return models()[name]


def require_known(members: Mapping[str, Mapping[str, Sequence[float]]], section: str = "finetune.members") -> None:
    """Check `finetune.members`, or another section of the same form.

    Raises:
        UserError: Names the first unknown model, or the first invalid hyper-parameter.
    """
    for name, values in members.items():
        empty = next((field for field, choices in values.items() if not len(choices)), None)
        if empty is not None:
            raise UserError(f"{section}.{name}.{empty}: holds no value to try. Give one or more, or leave it out.")
        try:
            spec(name).grid(values)
        except ValidationError as error:
            fault = error.errors()[0]
            field = "".join(f".{part}" for part in fault["loc"])
            raise UserError(
                f"{section}.{name}{field}: {fault['msg']}. Correct it; the settings of {name} are "
                f"{', '.join(spec(name).config.hyper_fields())}."
            ) from None
