"""The context that a request names: labels of the user or the moment by column, such as `{"country": "DE"}`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from numbers import Integral

from nightreel.bundle.newcomers import Newcomers, unknown_names
from nightreel.errors import UserError
from nightreel.models.newcomers.context import NAMES
from nightreel.reader.requests.arguments import shown

NOTHING: Mapping[str, object] = {}
MOST_LABELS = 100
"""Labels of a column."""


def parsed(context: object, known: Newcomers | None) -> dict[str, tuple[str, ...]]:
    """Labels by column.

    Args:
        context: A text, a whole number or a list of texts by column; None for nothing known.
        known: What the version knows of newcomers.

    Raises:
        UserError: It has another form, or names a column that the version does not take.

    Example:
        >>> parsed({"country": "DE", "languages": ["de", "en"], "hour": 20, "plan": None}, None)
        {'country': ('DE',), 'languages': ('de', 'en'), 'hour': ('20',)}
    """
    if context is None:
        return {}
    if not isinstance(context, Mapping):
        raise UserError(f"context is {shown(context)}. Give a mapping, such as {{'country': 'DE'}}.")
    names = [str(name) for name in context]
    for name in unknown_names(names, known):
        takes = _names(known)
        near = difflib.get_close_matches(name, takes, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"context: {name[:40]!r} is no column of context.{hint} This version takes {', '.join(takes)}.")
    found = {str(name): _labels(str(name), value) for name, value in context.items() if value is not None}
    return {name: labels for name, labels in found.items() if labels}


def pairs(given: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Labels by column, from texts such as `country=DE`.

    Raises:
        UserError: A text is of another form.

    Example:
        >>> pairs(["country=DE", "languages=de", "languages=en"])
        {'country': ('DE',), 'languages': ('de', 'en')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, label = text.partition("=")
        if not (name.strip() and equals and label.strip()):
            raise UserError(f"context: {text[:40]!r} is no column with a label. Write column=label, as country=DE.")
        found[name.strip()] = (*found.get(name.strip(), ()), label.strip())
    return found


def _names(known: Newcomers | None) -> tuple[str, ...]:
    return known.names if known is not None else NAMES


def _labels(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return (str(int(value)),)
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        entries = tuple(value)
        if len(entries) <= MOST_LABELS and all(isinstance(entry, str) for entry in entries):
            return tuple(map(str, entries))
    raise UserError(f"context: {name} is {shown(value)}. Give a text, or a list of at most {MOST_LABELS} texts.")
