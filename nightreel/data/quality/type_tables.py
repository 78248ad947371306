"""Convert raw files to typed tables of the contract, with pseudonyms; rows with an invalid cell are rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightreel.data.contract.schema import ARROW_TYPES, CLEAN_EVENTS, MOMENT, SET_ASIDE, SOURCE, event_type
from nightreel.data.contract.tables import ERASURES, EVENTS_TABLE, RULES, TABLES, Column, Table
from nightreel.data.ingest import timestamps
from nightreel.data.ingest.casting import EXACT, Mask, cast_cells, is_text, to_text, wrong_type
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.privacy import pseudonym, redacted
from nightreel.data.quality import editorial_checks, id_forms, row_checks
from nightreel.data.quality.future_events import without_future
from nightreel.data.quality.violations import Violations
from nightreel.errors import UserError


@dataclass(frozen=True)
class Loaded:
    """Typed tables in source order. clock: `time` or `order`; rows: number of rows by table, rejected ones included."""

    items: pa.Table
    events: pa.Table
    erasures: pa.Table
    rules: pa.Table
    rejected: pa.Table
    clock: str
    rows: dict[str, int]
    notes: list[str]


def load(
    raws: list[Raw], clock: str, key: bytes | None, tables: Mapping[str, Table] = TABLES, now: float = np.inf
) -> Loaded:
    """Convert every table to its types.

    Args:
        raws: The raw files.
        clock: The setting.
        key: Key for pseudonyms; None: users keep their ids.
        tables: The contract with additional named columns, each of which some file must have.
        now: Time of the run, epoch seconds; later events are rejected.
    """
    parts: dict[str, list[Raw]] = {name: [raw for raw in raws if raw.table == name] for name in TABLES}
    rows = {name: sum(len(raw.rows) + len(raw.broken) for raw in own) for name, own in parts.items()}
    for table in TABLES.values():
        if table.required and not rows[table.name]:
            files = ", ".join(raw.file for raw in parts[table.name])
            raise UserError(
                f"{files}: the table {table.name} has no rows. Provide at least one, or choose another source."
            )
    for name, table in tables.items():
        _require_named(table, parts[name])
    unit, clock = clock_of(parts["events"], clock)
    users = id_forms.distinct_ids(parts["events"], EVENTS_TABLE["user_id"])
    erased = id_forms.distinct_ids(parts["erasures"], ERASURES["user_id"])
    meant = {"erasures": id_forms.meant(erased, users)}
    loaded = {
        name: [_typed(raw, tables[name], unit, key, meant.get(name, {})) for raw in own] for name, own in parts.items()
    }
    rejected = [row for own in loaded.values() for _, bad in own for row in bad]
    events = _stack(_present(tables["events"], parts["events"]), loaded["events"], None)
    events, late = without_future(events, clock, now, private=key is not None)
    return Loaded(
        items=_stack(_present(tables["items"], parts["items"]), loaded["items"], ARROW_TYPES),
        events=events,
        erasures=_stack(ERASURES.columns, loaded["erasures"], ARROW_TYPES),
        rules=_stack(RULES.columns, loaded["rules"], ARROW_TYPES),
        rejected=pa.concat_tables([pa.Table.from_pylist(rejected, schema=SET_ASIDE), late]),
        clock=clock,
        rows=rows,
        notes=[*(note for raw in raws for note in raw.notes), *id_forms.warnings_of_ids(parts, users, erased)],
    )


def load_items(raw: Raw) -> pa.Table:
    """Read a file of items: its columns of the contract, typed, one row per item. Raises UserError naming the first
    invalid row."""
    table = _faultless(raw, row_checks.mark_items)
    return table.drop_columns([name for name in table.column_names if name not in raw.columns])


def load_rules(raw: Raw, items: pa.Table) -> pa.Table:
    """Read a file of editorial rules for these items: schema.RULES_SCHEMA. Raises UserError naming the first invalid
    row."""
    table = _faultless(raw, lambda rows: editorial_checks.mark_business_rules(rows, items))
    return table.select(RULES.names)


def _faultless(raw: Raw, mark: Callable[[pa.Table], Violations]) -> pa.Table:
    """A file's rows in the contract's columns, with their source; raises UserError if one is invalid."""
    table, rejected = _typed(raw, TABLES[raw.table], "s", None, {})
    table = _stack(TABLES[raw.table].columns, [(table, [])], ARROW_TYPES)
    fault = [*rejected, *mark(table).set_aside(raw.table, table, private=False).to_pylist()]
    if fault:
        first = min(fault, key=lambda row: row["source_row"])
        raise UserError(
            f"{raw.file}: row {first['source_row']}: {first['rule']} in `{first['column']}`; {len(fault)} rows of "
            f"{len(raw.rows) + len(raw.broken)} are invalid. Correct the file; nothing was changed."
        )
    return table


def _require_named(table: Table, raws: list[Raw]) -> None:
    """Require that every additional column is in some file, and that its name is not reserved."""
    taken = {field.name for field in [*SOURCE, *CLEAN_EVENTS]}
    for name in table.names:
        if name in TABLES[table.name].names:
            continue
        where, files = f"params.yaml: evaluate.slices: '{table.name}.{name}'", ", ".join(raw.file for raw in raws)
        if name in taken:
            raise UserError(f"{where}: this name is reserved. Rename the column in {files}.")
        if not any(name in raw.columns for raw in raws):
            raise UserError(f"{where}: {files} has no such column. Correct the name, or remove it from the list.")


def clock_of(raws: list[Raw], setting: str) -> tuple[str, str]:
    """(unit of plain numbers, clock) of all event files together, so that they agree."""
    readings = [moments_of(raw, EVENTS_TABLE["timestamp"]) for raw in raws]
    numbers = np.concatenate([reading.numbers[np.isfinite(reading.numbers)] for reading in readings])
    dated = sum(int(reading.dated.sum()) for reading in readings)
    unit = timestamps.unit_of(numbers) if len(numbers) else "s"
    if setting == "order" or (setting == "auto" and unit == "order" and len(numbers) > dated):
        return "order", "order"
    return ("s" if unit == "order" else unit), "time"


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


def _typed(
    raw: Raw, table: Table, unit: str, key: bytes | None, meant: Mapping[str, str]
) -> tuple[pa.Table, list[dict[str, object]]]:
    """(valid rows, rejected rows) of a file. meant: user id in the file → the id that it stands for."""
    arrays: dict[str, pa.Array] = {}
    faults: dict[str, Mask] = {}
    for name, cells in raw.columns.items():
        column = table[name]
        arrays[name], faults[name] = _cells(raw, column, unit)
        _refuse_wrong_column(raw, column, cells, faults[name])
    if "user_id" in arrays and (key is not None or meant):
        arrays["user_id"] = _pseudonyms(arrays["user_id"], key, meant)
    bad = np.logical_or.reduce([*faults.values(), np.zeros(len(raw.rows), bool)])
    arrays["source_file"] = pa.repeat(pa.scalar(raw.file, pa.string()), len(raw.rows))
    arrays["source_row"] = pa.array(raw.rows)
    return pa.table(arrays).filter(pa.array(~bad)), [
        *_broken(raw),
        *_rejected(raw, arrays, faults, np.flatnonzero(bad), key is not None),
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


def _refuse_wrong_column(raw: Raw, column: Column, cells: pa.Array, bad: Mask) -> None:
    given = len(cells) - cells.null_count
    if given > 1 and int(bad.sum()) >= given:
        if column.kind == "id" and pa.types.is_floating(cells.type):
            raise UserError(
                f"{raw.file}: column `{column.name}` holds floating-point numbers beyond {EXACT:,}, where ids are no "
                "longer told apart. Store ids as text or whole numbers."
            )
        raise wrong_type(raw.file, column, "invalid in every row")


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
            "row": redacted(fault.seen, "", private=False),
        }


def _rejected(
    raw: Raw, arrays: dict[str, pa.Array], faults: dict[str, Mask], at: npt.NDArray[np.int64], private: bool
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
            "rule": _rule(fault),
            "column": column,
            "user_id": user,
            "row": redacted(cells, column, private=private),
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


def _rule(cell: object) -> str:
    if cell is None:
        return "empty cell"
    if isinstance(cell, float) and abs(cell) > EXACT:
        return "inexact number"
    try:
        cell.decode() if isinstance(cell, bytes) else str(cell).encode()
    except UnicodeError:
        return "encoding"
    return "wrong type"


def _present(table: Table, raws: list[Raw]) -> list[Column]:
    """All columns of items; of events the required ones and those that some file has."""
    found = {name for raw in raws for name in raw.columns} | {"value"}
    return [column for column in table.columns if table.name == "items" or column.name in found]


def _stack(
    columns: Iterable[Column],
    parts: list[tuple[pa.Table, list[dict[str, object]]]],
    types: dict[str, pa.DataType] | None,
) -> pa.Table:
    """Concatenate all files of a table in the contract's columns; a column that a file lacks is empty."""
    fields = [pa.field(c.name, types[c.kind] if types else event_type(c)) for c in columns] + SOURCE
    tables = [
        pa.table(
            {
                f.name: table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(table.num_rows, f.type)
                for f in fields
            },
            schema=pa.schema(fields),
        )
        for table, _ in parts
    ]
    return pa.concat_tables(tables).combine_chunks() if tables else pa.schema(fields).empty_table()
