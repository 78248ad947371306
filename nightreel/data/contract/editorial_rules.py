"""Editorial rule types: the targets and values of each rule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from unicodedata import normalize

from nightreel.outcome_values import LARGEST

ITEM, ALL, OUTCOME = "item", "", "outcome"
NO_ITEMS = (ALL, OUTCOME)
"""Kinds of target that name no items."""
KINDS = {"genre": "genres", "creator": "creators", "language": "language", "media_type": "media_type"}
"""Kinds of target other than one item, and the items' column with their labels."""
ANY = (ITEM, *KINDS)
Target = tuple[str, str]
"""Kind and name of what a rule is about."""


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
    "value": Shape((OUTCOME,), "needed", low=-LARGEST, high=LARGEST),
}


@lru_cache(20_000)
def comparable(label: str) -> str:
    """The one form in which labels and targets are compared: without spaces at the ends, case and Unicode's composed or
    decomposed letters.

    Example:
        >>> comparable(" COME\u0301DIE ") == comparable("Com\u00e9die")
        True
    """
    return normalize("NFC", normalize("NFC", label).strip().casefold())


def comparable_id(item_id: str) -> str:
    """The one form in which ids of items are compared: as `comparable`, but with case, which ids may depend on."""
    return normalize("NFC", item_id.strip())


def general_languages(tag: str) -> tuple[str, ...]:
    """A language in comparable form, followed by the more general ones: zh-hant, zh. zh_Hant is read as zh-Hant."""
    parts = comparable(tag).replace("_", "-").split("-")
    return tuple("-".join(parts[:n]) for n in range(len(parts), 0, -1))


def kind_and_name(target: str | None) -> Target:
    """Parse a target: `genre:Crime` → (genre, crime). Any other text is an item id, optionally after `item:`,
    because an id can begin with one of these words. Names are in comparable form. ALL for no target."""
    if target is None:
        return ALL, ""
    kind, colon, name = target.partition(":")
    kind = kind.strip().casefold()
    if not colon or kind not in (*ANY, OUTCOME):
        return ITEM, comparable_id(target)
    if kind == ITEM:
        return ITEM, comparable_id(name)
    return kind, general_languages(name)[0] if kind == "language" else comparable(name)


def items_by_target(
    targets: Collection[Target], ids: Sequence[str], labels_of: Callable[[str], Iterable[Iterable[str]]]
) -> dict[Target, list[int]]:
    """Rows of the items that each target names, ascending; empty where it names none.

    Args:
        targets: As `kind_and_name` returns them.
        ids: [n] ids of the items.
        labels_of: Returns [n] labels of the items for a kind of target; called once for each kind that is named.
    """
    found: dict[Target, list[int]] = {target: [] for target in targets if target[0] not in NO_ITEMS}
    for kind in {kind for kind, _ in found}:
        rows = ({comparable_id(each)} for each in ids) if kind == ITEM else map(_forms(kind), labels_of(kind))
        for row, names in enumerate(rows):
            for name in names:
                if (kind, name) in found:
                    found[kind, name].append(row)
    return found


def _forms(kind: str) -> Callable[[Iterable[str]], set[str]]:
    """Returns the names by which an item's labels may be called."""
    if kind == "language":
        return lambda labels: {tag for label in labels for tag in general_languages(label)}
    return lambda labels: {comparable(label) for label in labels}
