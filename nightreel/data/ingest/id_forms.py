"""Ids that are written in two forms: `12` and `12.0`, `u1` and ` u1 `, `7` and `007`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import EVENTS_TABLE, Column
from nightreel.data.ingest.casting import to_text
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.readings import NO_WORD
from nightreel.errors import UserError

NO_PERSON = NO_WORD - {""} | {"anonymous", "unknown", "guest", "-1"}
"""User ids, in lower case, that systems write for events of nobody they know."""
LONGEST_MARK = max(map(len, NO_PERSON)) + 4
Form = Callable[[pa.Array], pa.Array]
FORMS: dict[str, Form] = {
    # Also characters that nobody sees: byte order marks, joiners and marks of the direction of writing.
    "spaces at the ends": lambda ids: pc.replace_substring_regex(ids, r"^[\pZ\pC]+|[\pZ\pC]+$", ""),
    "`.0` at the end": lambda ids: pc.replace_substring_regex(ids, r"^(\d+)\.0+$", r"\1"),
    "the Unicode form": lambda ids: pc.utf8_normalize(ids, "NFC"),
    "leading zeros": lambda ids: pc.replace_substring_regex(ids, r"^0+(\d)", r"\1"),
    "upper and lower case": pc.utf8_lower,
}
SURE = tuple(FORMS)[:3]
"""Forms of one and the same id: other systems put spaces and `.0` there, and write accents in their own way."""
SAME = "spaces, `.0` or the Unicode form"
"""SURE in words."""


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
    items: Sequence[str], events: Sequence[Raw], users: Sequence[str], erased: Sequence[str]
) -> list[str]:
    """Warnings about ids in two forms. Ids of users are counted, never named.

    Args:
        items: All ids of the catalogue.
        events: Files of events.
        users: All user ids of the events.
        erased: All user ids of the erasures.
    """
    named = distinct_ids(events, EVENTS_TABLE["item_id"])
    warnings = [_nobody(erased, users), _no_person(events, users), _twice(users, "events", "user")]
    warnings += [_twice(items, "items", "item"), near(sorted(set(named) - set(items)), items)]
    return [*filter(None, warnings)]


def _nobody(erased: Sequence[str], users: Sequence[str]) -> str:
    """A warning about erasures of users whom the events don't have."""
    known = set(users)
    missing = [id_ for id_ in erased if id_ not in known]
    if not missing:
        return ""
    healed = meant(missing, users)
    form, matches = nearest([id_ for id_ in missing if id_ not in healed], users)
    near_by = f" ({len(matches):,} would match but for {form})" if matches else ""
    told = [
        (
            len(missing) - len(healed),
            f"match no user of the events, so nothing is erased for them: check the ids{near_by}",
        ),
        (len(healed), f"match a user but for {SAME}, and count for that user"),
    ]
    shown = "; ".join(f"{n:,} of {len(erased):,} {what}" for n, what in told if n)
    return f"erasures: {shown}."


def _no_person(events: Sequence[Raw], users: Sequence[str]) -> str:
    """A warning about user ids that are other systems' marks for "no user"."""
    marks = [id_ for id_ in users if len(id_) <= LONGEST_MARK and id_.strip().casefold() in NO_PERSON]
    if not marks:
        return ""
    ids = [to_text(raw.columns["user_id"], raw.file, EVENTS_TABLE["user_id"])[0] for raw in events]
    count = sum(int(pc.sum(pc.is_in(cells, pa.array(marks))).as_py() or 0) for cells in ids)
    return (
        f"events: {count:,} rows have the user id {' or '.join(map(repr, sorted(marks)))}, which usually stands for no "
        "user; each counts as one person. Leave these rows out, or these cells empty."
    )


def _twice(ids: Sequence[str], table: str, noun: str) -> str:
    """A warning about ids of which another form is among them."""
    counts = Counter(plain(ids))
    repeated = sum(n for n in counts.values() if n > 1)
    if not repeated:
        return ""
    return (
        f"{table}: {repeated:,} of {len(ids):,} {noun} ids differ from another one by {SAME} alone, and count as other "
        f"{noun}s. Write every id in one form."
    )


def near(unknown: Sequence[str], known: Sequence[str]) -> str:
    """A warning if unknown item ids are known ones in another form; names the difference, with the share."""
    form, matches = nearest(unknown, known)
    if not matches:
        return ""
    first, meant_ = next(iter(matches.items()))
    return (
        f"events: {len(matches):,} of {len(unknown):,} unknown item ids would match an item but for {form}, such as "
        f"{first!r} and {meant_!r}. Write them as in items."
    )


def nearest(unknown: Sequence[str], known: Sequence[str]) -> tuple[str, dict[str, str]]:
    """(form by which most unknown ids match a known one, those unknown ids → known ids); ("", {}) if none does."""
    best: tuple[str, dict[str, str]] = ("", {})
    for name in FORMS if unknown else ():
        own = dict(zip(plain(known, [name]), known, strict=True))
        forms = zip(unknown, plain(unknown, [name]), strict=True)
        matches = {id_: own[form] for id_, form in forms if form in own}
        best = (name, matches) if len(matches) > len(best[1]) else best
    return best
