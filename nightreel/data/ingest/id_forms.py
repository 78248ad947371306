"""Ids that are written in two forms: `12` and `12.0`, `u1` and ` u1 `, `7` and `007`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import EVENTS_TABLE, Column
from nightreel.data.ingest.casting import to_text
from nightreel.data.ingest.raw_tables import Raw
from nightreel.errors import UserError

Form = Callable[[pa.Array], pa.Array]
FORMS: dict[str, Form] = {
    "spaces at the ends": pc.utf8_trim_whitespace,
    "`.0` at the end": lambda ids: pc.replace_substring_regex(ids, r"^(\d+)\.0+$", r"\1"),
    "leading zeros": lambda ids: pc.replace_substring_regex(ids, r"^0+(\d)", r"\1"),
    "upper and lower case": pc.utf8_lower,
    "the Unicode form": lambda ids: pc.utf8_normalize(ids, "NFC"),
}
SURE = tuple(FORMS)[:2]
"""Forms of one and the same id: other systems put spaces and `.0` there."""


def distinct_ids(raws: Iterable[Raw], column: Column) -> list[str]:
    """All ids of a column as the files write them, each once; invalid cells are left out."""
    found: dict[str, None] = {}
    for raw in raws:
        try:
            text, bad = to_text(pc.unique(raw.columns[column.name]), raw.file, column)
        except (UserError, pa.ArrowException, KeyError):
            continue  # named when the column is typed
        found |= dict.fromkeys(id_ for id_, fault in zip(text.to_pylist(), bad, strict=True) if id_ and not fault)
    return list(found)


def plain(ids: Sequence[str], forms: Iterable[str] = SURE) -> list[str]:
    """The ids without these differences."""
    cells = pa.array(ids, pa.string())
    for form in forms:
        cells = FORMS[form](cells)
    return cells.to_pylist()  # type: ignore[no-any-return]


def meant(wanted: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Wanted id → known id, for those that are not known and of which one known id is another form."""
    unknown = sorted(set(wanted) - set(known))
    own: dict[str, list[str]] = {}
    for form, id_ in zip(plain(known), known, strict=True):
        own.setdefault(form, []).append(id_)
    return {id_: own[form][0] for id_, form in zip(unknown, plain(unknown), strict=True) if len(own.get(form, ())) == 1}


def warnings_of_ids(
    items: Sequence[str], events: Iterable[Raw], users: Sequence[str], erased: Sequence[str]
) -> list[str]:
    """Warnings about ids in two forms. Ids of users are counted, never named.

    Args:
        items: All ids of the catalogue.
        events: Files of events.
        users: All user ids of the events.
        erased: All user ids of the erasures.
    """
    named = distinct_ids(events, EVENTS_TABLE["item_id"])
    warnings = [_nobody(erased, users), _twice(users, "events", "user"), _twice(items, "items", "item")]
    return [*filter(None, [*warnings, near(sorted(set(named) - set(items)), items)])]


def _nobody(erased: Sequence[str], users: Sequence[str]) -> str:
    """A warning about erasures of users whom the events don't have."""
    known = set(users)
    missing = [id_ for id_ in erased if id_ not in known]
    if not missing:
        return ""
    healed = len(meant(missing, users))
    told = [
        (len(missing) - healed, "match no user of the events, so nothing is erased for them: check the ids"),
        (healed, "match a user but for spaces or `.0`, and count for that user"),
    ]
    shown = "; ".join(f"{n:,} of {len(erased):,} {what}" for n, what in told if n)
    return f"erasures: {shown}."


def _twice(ids: Sequence[str], table: str, noun: str) -> str:
    """A warning about ids of which another form is among them."""
    counts = Counter(plain(ids))
    repeated = sum(n for n in counts.values() if n > 1)
    if not repeated:
        return ""
    return (
        f"{table}: {repeated:,} of {len(ids):,} {noun} ids differ from another one by spaces or `.0` alone, and count "
        f"as other {noun}s. Write every id in one form."
    )


def near(unknown: Sequence[str], known: Collection[str]) -> str:
    """A warning if unknown item ids are known ones in another form; names the difference, with the share."""
    if not unknown:
        return ""
    ids = list(known)
    best, count, example = "", 0, (0, "")
    for name in FORMS:
        own = dict(zip(plain(ids, [name]), ids, strict=True))
        matched = [at for at, form in enumerate(plain(unknown, [name])) if form in own]
        if len(matched) > count:
            best, count, example = name, len(matched), (matched[0], own[plain([unknown[matched[0]]], [name])[0]])
    if not count:
        return ""
    return (
        f"events: {count:,} of {len(unknown):,} unknown item ids would match an item but for {best}, such as "
        f"{unknown[example[0]]!r} and {example[1]!r}. Write them as in items."
    )
