"""Convert raw files to typed tables of the contract, with pseudonyms; rows with an invalid cell are rejected."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nightreel.data.contract.schema import ARROW_TYPES, CLEAN_EVENTS, SET_ASIDE, SOURCE, event_type
from nightreel.data.contract.tables import ERASURES, EVENTS, EVENTS_TABLE, ITEMS, RULES, TABLES, USERS, Column, Table
from nightreel.data.ingest import id_forms, timestamps
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.privacy import NOBODY, Persons
from nightreel.data.quality import editorial_checks, row_checks
from nightreel.data.quality.future_events import without_future
from nightreel.data.quality.typed_file import TypedFile, moments_of, type_file
from nightreel.data.quality.violations import Violations
from nightreel.errors import UserError


@dataclass(frozen=True)
class Loaded:
    """Typed tables in source order. clock: `time` or `order`; rows: number of rows by table, rejected ones included."""

    items: pa.Table
    events: pa.Table
    erasures: pa.Table
    rules: pa.Table
    users: pa.Table
    rejected: pa.Table
    clock: str
    rows: dict[str, int]
    notes: list[str]


def load(
    raws: list[Raw],
    clock: str,
    key: bytes | None,
    tables: Mapping[str, Table] = TABLES,
    now: float = np.inf,
    *,
    whole: bool = True,
) -> Loaded:
    """Convert every table to its types.

    Args:
        raws: The raw files.
        clock: The setting.
        key: Key for pseudonyms; None: users keep their ids.
        tables: The contract with additional named columns, each of which some file must have.
        now: Time of the run, epoch seconds; later events are rejected.
        whole: Whether all files could be read; if not, there may be no events.
    """
    parts: dict[str, list[Raw]] = {name: [raw for raw in raws if raw.table == name] for name in TABLES}
    rows = {name: sum(len(raw.rows) + len(raw.broken) for raw in own) for name, own in parts.items()}
    for table in TABLES.values():
        if table.required and not rows[table.name] and (whole or table is not EVENTS_TABLE):
            files = ", ".join(raw.file for raw in parts[table.name])
            raise UserError(
                f"{files}: the table {table.name} has no rows. Provide at least one, or choose another source."
            )
    for name, table in tables.items():
        if parts[name] or whole:
            _require_named(table, parts[name])
    unit, clock = clock_of(parts["events"], clock)
    users = id_forms.distinct_ids(parts["events"], EVENTS_TABLE["user_id"])
    profiled = id_forms.distinct_ids(parts["users"], USERS["user_id"])
    meant = {"users": id_forms.meant(profiled, users)}
    users = [*users, *sorted(set(profiled) - set(users) - set(meant["users"]))]  # newcomers have no events yet
    erased = id_forms.distinct_ids(parts["erasures"], ERASURES["user_id"])
    meant["erasures"] = id_forms.meant(erased, users)
    items = id_forms.distinct_ids(parts["items"], ITEMS["item_id"])
    persons = Persons(frozenset(users), frozenset([*items, *EVENTS])) if key is not None else NOBODY
    loaded = {
        name: [type_file(raw, tables[name], unit, key, meant.get(name, {}), persons) for raw in own]
        for name, own in parts.items()
    }
    rejected = [row for own in loaded.values() for typed in own for row in typed.rejected]
    emptied = [note for own in loaded.values() for typed in own for note in typed.emptied]
    events = _stack(_present(tables["events"], parts["events"]), loaded["events"], None)
    events, late = without_future(events, clock, now, private=key is not None)
    return Loaded(
        items=_stack(_present(tables["items"], parts["items"]), loaded["items"], ARROW_TYPES),
        events=events,
        erasures=_stack(ERASURES.columns, loaded["erasures"], ARROW_TYPES),
        rules=_stack(RULES.columns, loaded["rules"], ARROW_TYPES),
        users=_stack(tables["users"].columns, loaded["users"], ARROW_TYPES),
        rejected=pa.concat_tables([pa.Table.from_pylist(rejected, schema=SET_ASIDE), late]),
        clock=clock,
        rows=rows,
        notes=[
            *(note for raw in raws for note in raw.notes),
            *emptied,
            *id_forms.warnings_of_ids(items, parts["events"], users, erased),
        ],
    )


def load_items(raw: Raw) -> pa.Table:
    """Read a file of items: its columns of the contract, typed, one row per item. Raises UserError naming the first
    invalid row."""
    table = _faultless(raw, row_checks.mark_items)
    return table.drop_columns([name for name in table.column_names if name not in raw.columns])


def load_rules(raw: Raw, items: pa.Table) -> pa.Table:
    """Read a file of editorial rules for these items: schema.RULES_SCHEMA. Raises UserError naming the first invalid
    row."""
    table = _faultless(raw, lambda rows: editorial_checks.mark_business_rules(rows, items, time.time()))
    return table.select(RULES.names)


def _faultless(raw: Raw, mark: Callable[[pa.Table], Violations]) -> pa.Table:
    """A file's rows in the contract's columns, with their source; raises UserError if one is invalid."""
    typed = type_file(raw, TABLES[raw.table], "s", None, {})
    if typed.emptied:
        raise UserError(f"{typed.emptied[0]} Correct the file; nothing was changed.")
    table = _stack(TABLES[raw.table].columns, [typed], ARROW_TYPES)
    fault = [*typed.rejected, *mark(table).set_aside(raw.table, table, private=False).to_pylist()]
    if fault:
        first = min(fault, key=lambda row: row["source_row"])
        hint = editorial_checks.value_hint([first]) if raw.table == "rules" else ""
        raise UserError(
            f"{raw.file}: row {first['source_row']}: {first['rule']} in `{first['column']}`; {len(fault)} rows of "
            f"{len(raw.rows) + len(raw.broken)} are invalid.{hint} Correct the file; nothing was changed."
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
    numbers = np.concatenate([np.empty(0), *(reading.numbers[np.isfinite(reading.numbers)] for reading in readings)])
    dated = sum(int(reading.dated.sum()) for reading in readings)
    unit = timestamps.unit_of(numbers) if len(numbers) else "s"
    if setting == "order" or (setting == "auto" and unit == "order" and len(numbers) > dated):
        return "order", "order"
    return ("s" if unit == "order" else unit), "time"


def _present(table: Table, raws: list[Raw]) -> list[Column]:
    """All columns of items; of events the required ones and those that some file has."""
    found = {name for raw in raws for name in raw.columns} | {"value"}
    return [column for column in table.columns if table.name == "items" or column.required or column.name in found]


def _stack(
    columns: Iterable[Column],
    parts: list[TypedFile],
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
        for table in (typed.rows for typed in parts)
    ]
    return pa.concat_tables(tables).combine_chunks() if tables else pa.schema(fields).empty_table()
