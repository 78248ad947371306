"""Type one raw file: pseudonyms, the contract's types; an unreadable cell costs its row, or only itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.ids import GARBLED_ID
from nightreel.data.contract.schema import MOMENT
from nightreel.data.contract.tables import EVENTS_TABLE, Column, Table
from nightreel.data.ingest import timestamps
from nightreel.data.ingest.casting import EXACT, Mask, cast_cells, is_text, mask_of, to_text, wrong_type
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.ingest.readings import mapped
from nightreel.data.privacy import LONGEST, NAMING, NOBODY, USER_ID, Persons, pseudonym, redacted
from nightreel.data.quality import row_checks
from nightreel.errors import UserError

ELSEWHERE = ("session_id", "device", "region", "slate_id", "variant")
"""Further columns of events in which an id of a user may stand by mistake."""
JOINED = r"[,;\[\]{}]|\s/\s"
"""What separates labels in other systems; a slash may, where its parts are labels by themselves as well."""


@dataclass(frozen=True)
class TypedFile:
    """A file in the contract's types. rejected: as SET_ASIDE; emptied: a warning for each column with cells that could
    not be read and are empty now."""

    rows: pa.Table
    rejected: list[dict[str, object]]
    emptied: list[str]


def moments_of(raw: Raw, column: Column) -> timestamps.ParsedTimestamps:
    """A column of times, in whatever form the source has them; raises UserError if it can't contain any."""
    cells = raw.columns[column.name]
    kind = cells.type
    if pa.types.is_boolean(kind) or pa.types.is_nested(kind):
        raise wrong_type(raw.file, column, kind)
    if pa.types.is_temporal(kind) and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise wrong_type(raw.file, column, kind)
    if not (pa.types.is_temporal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        cells, bad = to_text(cells, raw.file, column)
        reading = timestamps.read_moments(cells)
        return timestamps.ParsedTimestamps(reading.micros, reading.numbers, reading.dated, reading.bad | bad)
    return timestamps.read_moments(cells)


def type_file(
    raw: Raw, table: Table, unit: str, key: bytes | None, meant: Mapping[str, str], persons: Persons = NOBODY
) -> TypedFile:
    """Type a file. meant: user id in the file → the id that it stands for; persons: the users of the source."""
    arrays: dict[str, pa.Array] = {}
    faults: dict[str, Mask] = {}
    raw, emptied = _without_placeholders(raw, table)
    for name in raw.columns:
        column = table[name]
        arrays[name], fault = _cells(raw, column, unit)
        if column.costs_row:
            faults[name] = fault | _garbled(column, arrays[name])
            _refuse_wrong_column(raw, column, fault, private=key is not None, persons=persons)
        else:
            arrays[name], notes = _emptied(raw, column, arrays[name], fault)
            emptied += notes
    if "user_id" in arrays and (key is not None or meant):
        arrays["user_id"] = _pseudonyms(arrays["user_id"], key, meant)
    if key is not None and raw.table == "events":
        arrays |= _without_user_ids(arrays, key, persons)
    if key is not None and raw.table == "users":
        arrays |= _without_names(arrays, persons)
    bad = np.logical_or.reduce([*faults.values(), np.zeros(len(raw.rows), bool)])
    arrays["source_file"] = pa.repeat(pa.scalar(raw.file, pa.string()), len(raw.rows))
    arrays["source_row"] = pa.array(raw.rows)
    rejected = [*_broken(raw), *_rejected(raw, arrays, faults, np.flatnonzero(bad), key is not None, persons)]
    return TypedFile(pa.table(arrays).filter(pa.array(~bad)), rejected, emptied)


def _without_user_ids(arrays: Mapping[str, pa.Array], key: bytes, persons: Persons) -> dict[str, pa.Array]:
    """Columns of events without the ids of users that stand in them: a mask, or the pseudonym in other ids."""

    def masked(cell: str) -> str:
        return USER_ID if persons.masks(cell) else cell

    def hashed(cell: str) -> str:
        user = cell.strip()
        # Numbers may be both a user's id and, say, the number of a variant.
        return pseudonym(key, user) if user in persons.users and not user.isdigit() else cell

    return {
        **{name: mapped(arrays[name], masked) for name in NAMING if name in arrays},
        **{name: mapped(arrays[name], hashed) for name in ELSEWHERE if name in arrays},
    }


def _without_names(arrays: Mapping[str, pa.Array], persons: Persons) -> dict[str, pa.Array]:
    """Columns of users without cells and labels that are, or may be, the id of a person."""

    def kept(cell: str) -> str | None:
        # Numbers may be both a user's id and, say, an age.
        return None if persons.masks(cell) and not cell.strip().isdigit() else cell

    found = {}
    for name, cells in arrays.items():
        if name != "user_id" and pa.types.is_string(cells.type):
            found[name] = mapped(cells, kept)
        elif pa.types.is_list(cells.type):
            rows = [None if row is None else [label for label in row if kept(label)] for row in cells.to_pylist()]
            found[name] = pa.array(rows, cells.type)
    return found


def _without_placeholders(raw: Raw, table: Table) -> tuple[Raw, list[str]]:
    """(the file without dates of the catalogue that stand for none, a warning about each such column)."""
    columns, notes = dict(raw.columns), []
    for column in (table[name] for name in columns if raw.table == "items" and table[name].kind == "moment"):
        cells = columns[column.name]
        reading = moments_of(raw, column)
        nothing = timestamps.stands_for_no_date(reading, of_an_end=column.name == "expires_at")
        at = np.flatnonzero(nothing)
        if not len(at):
            continue
        columns[column.name] = pc.if_else(pa.array(nothing), pa.scalar(None, cells.type), cells)
        notes.append(
            f"{raw.file}: {len(at):,} of {len(cells) - cells.null_count:,} filled cells of `{column.name}` hold what "
            f"other systems write for no date, and count as empty, the first in row {raw.rows[at[0]]} "
            f"({str(_shown(_cell(cells, int(at[0]))))[:LONGEST]!r})."
        )
    return replace(raw, columns=columns), notes


def _emptied(raw: Raw, column: Column, cells: pa.Array, fault: Mask) -> tuple[pa.Array, list[str]]:
    """(cells without those that can't be read or break the contract, a warning about them if there are any)."""
    for _, broken in row_checks.cell_faults(column, cells):
        fault = fault | broken
    notes = _joined_labels(raw, cells, column) if column.kind == "list" else []
    at = np.flatnonzero(fault)
    if not len(at):
        return cells, notes
    # What stands in a cell of the catalogue is no personal data.
    given = _shown(_cell(raw.columns[column.name], int(at[0])))
    shown = f" ({str(given)[:LONGEST]!r})" if raw.table == "items" else ""
    notes = [
        f"{raw.file}: {len(at):,} of {len(cells) - raw.columns[column.name].null_count:,} filled cells of "
        f"`{column.name}` can't be read and count as empty, the first in row {raw.rows[at[0]]}{shown}; "
        f"expected {column.wanted}.",
        *notes,
    ]
    empty = pa.scalar([] if column.kind == "list" else None, cells.type)
    return pc.if_else(pa.array(fault), empty, cells), notes


def _joined_labels(raw: Raw, cells: pa.Array, column: Column) -> list[str]:
    """A warning if most lists are one label that looks like several: `Drama, Comedy`."""
    alone = pc.list_flatten(cells.filter(pc.equal(pc.list_value_length(cells), 1)))
    known = frozenset(alone.to_pylist())
    sliced = [label.count("/") > 0 and known.issuperset(label.split("/")) for label in alone.to_pylist()]
    joined = alone.filter(pc.or_(pc.match_substring_regex(alone, JOINED), pa.array(sliced, pa.bool_())))
    filled = int(pc.sum(pc.greater(pc.list_value_length(cells), 0)).as_py() or 0)
    if column.name == "creators" or len(joined) < max(3, filled / 2):
        return []
    shown = f", such as {joined[0].as_py()[:LONGEST]!r}" if raw.table == "items" else ""
    return [
        f"{raw.file}: {len(joined):,} of {filled:,} cells of `{column.name}` hold commas, semicolons, slashes or "
        f"brackets and no `|`: each counts as one label{shown}. Separate labels by `|`."
    ]


def _cells(raw: Raw, column: Column, unit: str) -> tuple[pa.Array, Mask]:
    if column.kind != "moment":
        typed, bad = cast_cells(raw.columns[column.name], raw.file, column)
        return (typed.cast(pa.float32()) if column is EVENTS_TABLE["value"] else typed), bad
    reading = moments_of(raw, column)
    if raw.table == "events":
        values, bad = timestamps.as_positions(reading) if unit == "order" else timestamps.as_micros(reading, unit)
        empty = ~reading.dated & np.isnan(reading.numbers) & ~bad
        return pa.array(values), bad | empty
    values, bad = timestamps.as_dates(reading)
    known = (reading.dated | np.isfinite(reading.numbers)) & ~bad
    # Erasure requests count, however their date is written.
    bad = np.zeros(len(bad), bool) if raw.table == "erasures" else bad
    return pa.array(values, mask=~known).cast(MOMENT), bad


def _garbled(column: Column, cells: pa.Array) -> Mask:
    """[n] user ids that only a broken encoding gives; once they are pseudonyms, the check of rows can't tell."""
    if column.name != "user_id":
        return np.zeros(len(cells), bool)
    return mask_of(pc.match_substring_regex(cells, GARBLED_ID))


def _refuse_wrong_column(raw: Raw, column: Column, bad: Mask, *, private: bool, persons: Persons) -> None:
    """Raise UserError for a column that can't be read in any row; it shows the first cell, redacted as in a row."""
    cells = raw.columns[column.name]
    given = len(cells) - cells.null_count
    if given > 1 and int(bad.sum()) >= given:
        if column.kind == "id" and pa.types.is_floating(cells.type):
            raise UserError(
                f"{raw.file}: column `{column.name}` holds floating-point numbers beyond {EXACT:,}, where ids are no "
                "longer told apart. Store ids as text or whole numbers."
            )
        if column.kind in ("id", "text", "list"):
            raise UserError(f"{raw.file}: column `{column.name}` is not UTF-8 in any row. Save the file as UTF-8.")
        at = int(np.flatnonzero(bad & mask_of(cells.is_valid()))[0])
        seen = {column.name: _shown(_cell(cells, at))}
        first = redacted(seen, column.name, private=private, table=raw.table, persons=persons)
        raise wrong_type(raw.file, column, f"invalid in every row, first in row {raw.rows[at]}: {first}")


def _pseudonyms(users: pa.Array, key: bytes | None, meant: Mapping[str, str]) -> pa.Array:
    """Pseudonyms of the users that are meant; without a key their ids."""
    coded = users.dictionary_encode()
    names = [meant.get(user, user) for user in coded.dictionary.to_pylist()]
    names = names if key is None else [pseudonym(key, user) for user in names]
    return pa.array(names, pa.string()).take(coded.indices)


def _broken(raw: Raw) -> Iterable[dict[str, object]]:
    for fault in raw.broken:
        yield {
            "table": raw.table,
            "source_file": raw.file,
            "source_row": fault.row,
            "rule": fault.rule,
            "column": "",
            "user_id": None,
            "item_id": None,
            "row": redacted(fault.seen, "", private=False),
        }


def _rejected(
    raw: Raw,
    arrays: dict[str, pa.Array],
    faults: dict[str, Mask],
    at: npt.NDArray[np.int64],
    private: bool,
    persons: Persons,
) -> Iterable[dict[str, object]]:
    """Rows of the report for the invalid cells; user ids are pseudonyms, other cells come from the source."""
    for row in at.tolist():
        column = next(name for name, marked in faults.items() if marked[row])
        cells = {name: _shown(_cell(own, row)) for name, own in raw.columns.items()}
        user = arrays["user_id"][row].as_py() if "user_id" in arrays and column != "user_id" else None
        if "user_id" in cells and column != "user_id":
            cells["user_id"] = user
        fault = _cell(raw.columns[column], row)
        yield {
            "table": raw.table,
            "source_file": raw.file,
            "source_row": int(raw.rows[row]),
            "rule": _rule(fault, column),
            "column": column,
            "user_id": user,
            # Invalid or not UTF-8, it has no value of its own.
            "item_id": arrays["item_id"][row].as_py() if "item_id" in arrays else None,
            "row": redacted(cells, column, private=private, table=raw.table, persons=persons),
        }


def _cell(cells: pa.Array, row: int) -> object:
    """A cell as a Python value; text as bytes, because it may not be UTF-8."""
    if not is_text(cells.type):
        try:
            return cells[row].as_py()
        except (ValueError, OverflowError):  # a time outside Python's calendar, or in nanoseconds
            return cells.slice(row, 1).cast(pa.string())[0].as_py()
    buffer = cells[row].as_buffer()
    return None if buffer is None else buffer.to_pybytes()


def _shown(cell: object) -> object:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell


def _rule(cell: object, column: str) -> str:
    if cell is None:
        return "empty cell"
    if isinstance(cell, float) and abs(cell) > EXACT:
        return "inexact number"
    try:
        text = cell.decode() if isinstance(cell, bytes) else str(cell)
        text.encode()
    except UnicodeError:
        return "encoding"
    return "encoding" if column == "user_id" and re.search(GARBLED_ID, text) else "wrong type"
