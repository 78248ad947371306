"""Editorial rule types: the targets and values of each rule."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from unicodedata import normalize

ITEM, ALL = "item", ""
KINDS = {"genre": "genres", "creator": "creators", "language": "language", "media_type": "media_type"}
"""Kinds of target other than one item, and the items' column with their labels."""
ANY = (ITEM, *KINDS)


@dataclass(frozen=True)
class Shape:
    """Form of a rule. targets: kinds of target, ALL if it may have none; value: "none", "optional" or "needed", at
    least `low`, more than `above`, at most `high`."""

    targets: tuple[str, ...]
    value: str = "none"
    low: float = -inf
    above: float = -inf
    high: float = inf
    whole: bool = False


SHAPES = {
    "pin": Shape((ITEM,), "optional"),
    "boost": Shape(ANY, "optional", above=0.0, high=1.0),
    "bury": Shape(ANY),
    "hide": Shape(ANY),
    "only": Shape(tuple(KINDS)),
    "max_per_creator": Shape((ALL, "creator"), "needed", low=1.0, whole=True),
    "max_per_genre": Shape((ALL, "genre"), "needed", low=1.0, whole=True),
    "audience_age": Shape((ALL,), "needed", low=0.0, high=99.0, whole=True),
}


def comparable(label: str) -> str:
    """The one form in which labels and targets are compared: without spaces at the ends, case and Unicode's composed or
    decomposed letters.

    Example:
        >>> comparable(" COME\u0301DIE ") == comparable("Com\u00e9die")
        True
    """
    return normalize("NFC", normalize("NFC", label).strip().casefold())


def general_languages(tag: str) -> tuple[str, ...]:
    """A language in comparable form, followed by the more general ones: zh-hant, zh."""
    parts = comparable(tag).split("-")
    return tuple("-".join(parts[:n]) for n in range(len(parts), 0, -1))


def kind_and_name(target: str | None) -> tuple[str, str]:
    """Parse a target: `genre:Crime` → (genre, crime). Any other text is an item id, optionally after `item:`,
    because an id can begin with one of these words. Labels are in comparable form, ids only without spaces at the ends.
    ALL for no target."""
    if target is None:
        return ALL, ""
    text = target.strip()
    kind, colon, name = text.partition(":")
    kind = kind.strip().casefold()
    if not colon or kind not in ANY:
        return ITEM, text
    return (kind, name.strip()) if kind == ITEM else (kind, comparable(name))
