"""The models by name. Each registers itself where it is written, under one name or several:

    @register("ease", "ease_long", config=EaseConfig, paper="Steck, WWW 2019", cost="…", ceiling="…")
    class Ease(ItemToItem): ...

A model may have several names, for settings that see different things: `slist_short` looks at the last few items and
some way ahead, `ease_long` at most of a history. The ranker gains from both.

The files are found by name: every module of the rooms below, and `model.py` of a folder in one. What trains a model
that needs more than numpy and scipy is in another module of such a folder, and is imported when it is fitted.
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
    """All that is stated of a model.

    Attributes:
        name: As in `finetune.members`.
        cls: The class.
        config: Its hyper-parameters.
        paper: Where it comes from.
        cost: Memory and time.
        ceiling: How much data it is for.
    """

    name: str
    cls: type[Recommender]
    config: type[ModelConfig]
    paper: str
    cost: str
    ceiling: str

    def grid(self, values: Mapping[str, Sequence[float]]) -> list[ModelConfig]:
        """Every combination of the given values, the last field varying fastest; the defaults for all others."""
        found: list[dict[str, float]] = [{}]
        for name, choices in values.items():
            found = [{**chosen, name: choice} for chosen in found for choice in choices]
        return [self.config.model_validate(chosen) for chosen in found]


_SPECS: dict[str, ModelSpec] = {}


def register(*names: str, config: type[ModelConfig], paper: str, cost: str, ceiling: str) -> Callable[[R], R]:
    """Decorates a model's class; see the module's docstring."""

    def registered(cls: R) -> R:
        _SPECS.update({name: ModelSpec(name, cls, config, paper, cost, ceiling) for name in names})
        return cls

    return registered


@cache
def models() -> Mapping[str, ModelSpec]:
    """Every registered model by name."""
    for module in modules():
        import_module(module)
    return MappingProxyType(_SPECS)


def modules() -> Iterator[str]:
    """The modules in which models may be."""
    for room in ROOMS:
        for found in pkgutil.iter_modules(import_module(room).__path__, f"{room}."):
            yield f"{found.name}.model" if found.ispkg else found.name


def spec(name: str) -> ModelSpec:
    """A model by its name; raises UserError for one that is not registered."""
    if name not in models():
        raise UserError(
            f"finetune.members: {name}: there is no such model; choose among {', '.join(sorted(models()))}."
        )
    return models()[name]


def require_known(members: Mapping[str, Mapping[str, Sequence[float]]], section: str = "finetune.members") -> None:
    """Raises UserError naming the first model or hyper-parameter of a section that can't be used."""
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
                f"{section}.{name}{field}: {fault['msg']}. Correct it; it takes "
                f"{', '.join(spec(name).config.model_fields)}."
            ) from None
