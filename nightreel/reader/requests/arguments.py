"""Types and ranges of a request's arguments: a wrong one is refused by its name, before it is misread.

Python would read the text "257", given where a list of ids is meant, letter by letter, and pass over the numbers in
[257, 405], since ids are text: both would get a plausible list of something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from nightreel.errors import UserError

WHOLE = (int, np.integer)
"""Compared by their classes: asking an abstract one takes longer than the rest of a check."""


def shown(value: object) -> str:
    """A value as it is named in a message: its kind, and the value itself if it is short.

    Example:
        >>> shown("257"), shown([1])
        ("the text '257'", 'a list')
    """
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, Real):
        return f"the number {value}"
    return "None" if value is None else f"a {type(value).__name__}"


def text(name: str, value: object) -> str:
    """A text; raises UserError, naming the argument, for anything else."""
    if isinstance(value, str):
        return value
    hint = f" Ids are text: '{value}'." if isinstance(value, Integral) and not isinstance(value, bool) else ""
    raise UserError(f"{name} is {shown(value)}. Give a text.{hint}")


def texts(name: str, value: object, *, ordered: bool = False) -> tuple[str, ...]:
    """A list of texts; raises UserError, naming the argument, for one text or for entries that are none.

    Args:
        name: The argument.
        value: The value.
        ordered: Whether the order matters, as in a history: then a set is refused.
    """
    if isinstance(value, str | bytes):
        raise UserError(f"{name} is {shown(value)}. Give a list, even of one: [{value!r}].")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise UserError(f"{name} is {shown(value)}. Give a list of texts.")
    if ordered and isinstance(value, set | frozenset):
        raise UserError(f"{name} is {shown(value)}, which has no order. Give a list, oldest first.")
    entries = tuple(value)
    for place, entry in enumerate(entries):
        if not isinstance(entry, str):
            text(f"{name}[{place}]", entry)
    return entries


def whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number from `least` to `most`; raises UserError, naming the argument, for anything else."""
    if isinstance(value, WHOLE) and not isinstance(value, bool):
        if least <= value and (most is None or value <= most):
            return int(value)
        told = str(value)
    else:
        told = shown(value)
    limit = "." if most is None else f", at most {most:,}."
    raise UserError(f"{name} is {told}. Give a whole number, {least} or more{limit}")


def number(name: str, value: object) -> float:
    """A finite number; raises UserError, naming the argument, for anything else."""
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(float(value)):
        raise UserError(f"{name} is {shown(value)}. Give a number.")
    return float(value)


def moment(name: str, value: object, last_event: str) -> None:
    """A time for which a list is computed; raises UserError for what is neither a number nor `last_event`."""
    if value is None or (isinstance(value, str) and value == last_event):
        return
    if isinstance(value, str) or not isinstance(value, Real) or isinstance(value, bool):
        raise UserError(
            f"{name} is {shown(value)}. Give epoch seconds (a position where the source has no clock), {last_event!r} "
            "or None; `reader.clock.moment` reads dates."
        )
    number(name, value)


def flag(name: str, value: object) -> None:
    """True, False or None; raises UserError, naming the argument, for anything else."""
    if value is not None and not isinstance(value, bool | np.bool_):
        raise UserError(f"{name} is {shown(value)}. Give True, False or None.")


def of_type(name: str, value: object, kind: type[Any]) -> None:
    """An object of a class of Nightreel; raises UserError, naming the argument, for anything else."""
    if not isinstance(value, kind):
        raise UserError(f"{name} is {shown(value)}. Give {kind.__name__}(…), from {kind.__module__}.")
