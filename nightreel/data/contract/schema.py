"""Arrow types of the contract's columns, and the strict check of a stage's input files against them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.data.contract.tables import ERASURES, EVENTS_TABLE, ITEMS, REQUIRED_EVENTS, RULES, USERS, Column
from nightreel.errors import UserError

MOMENT = pa.timestamp("us", "UTC")
BUFFER = 1 << 20
"""Bytes of a column per block, where a file is read in blocks."""
ARROW_TYPES: dict[str, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "list": pa.list_(pa.string()),
    "number": pa.float64(),
    "integer": pa.int64(),
    "flag": pa.bool_(),
    "moment": MOMENT,
    "label": pa.string(),
}
SOURCE = [pa.field("source_file", pa.string()), pa.field("source_row", pa.int64())]

SET_ASIDE = pa.schema(
    [
        pa.field("table", pa.string()),
        *SOURCE,
        pa.field("rule", pa.string()),
        pa.field("column", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("row", pa.string()),
    ]
)
"""Rejected and quarantined rows: user_id is a pseudonym or null, item_id as the source has it (a mask if it is a user's
id), `row` is redacted JSON."""

ITEMS_SCHEMA = pa.schema([pa.field(c.name, ARROW_TYPES[c.kind]) for c in ITEMS.columns])
"""Clean items: every contract column; lists and `blocked` are never null, other optional cells may be."""
ERASURES_SCHEMA = pa.schema([pa.field(c.name, ARROW_TYPES[c.kind]) for c in ERASURES.columns])
RULES_SCHEMA = pa.schema([pa.field(c.name, ARROW_TYPES[c.kind]) for c in RULES.columns])
PROFILES_SCHEMA = pa.schema([pa.field(c.name, ARROW_TYPES[c.kind]) for c in USERS.columns])
"""The source's table `users`, with pseudonyms; USERS_SCHEMA are the users that have events."""
COMMENTS_SCHEMA = pa.schema([pa.field("item", pa.int32()), pa.field("tone", pa.float32())])
"""Sentiments of comments by item, which is a row of items; null for a comment that can't be judged."""
SNAPSHOT_SEARCHES = pa.schema([("user_id", pa.string()), ("timestamp", pa.int64()), ("text", pa.string())])
"""Words of searches in the snapshot."""
SEARCHES_SCHEMA = pa.schema([("user", pa.int32()), ("time", pa.float64()), ("text", pa.string())])
"""The same by user, which is a row of users."""
DERIVED = (pa.field("text_number", pa.int32()), pa.field("tone", pa.float32()))
"""Columns of the snapshot's events in place of `text`, see `data.free_text`."""
USERS_SCHEMA = pa.schema([pa.field("user_id", pa.string())])
CLEAN_EVENTS = pa.schema(
    [
        pa.field("user", pa.int32()),
        pa.field("item", pa.int32()),
        pa.field("time", pa.float64()),
        pa.field("event", pa.dictionary(pa.int32(), pa.string())),
        pa.field("value", pa.float32()),
        pa.field("positive", pa.bool_()),
        pa.field("negative", pa.bool_()),
        pa.field("seen", pa.bool_()),
        pa.field("gain", pa.float32()),
    ]
)
"""Clean events: user and item are rows of users and items (-1: no item), time is epoch seconds or a position."""


def event_type(column: Column) -> pa.DataType:
    """Type of an events column in the snapshot: times are int64 µs or positions, `value` is float32."""
    if column.kind == "moment":
        return pa.int64()
    return pa.float32() if column.name == "value" else ARROW_TYPES[column.kind]


def optional_event_fields(present: list[str]) -> list[pa.Field]:
    """Fields of the optional event columns among `present`, in contract order; never what users wrote."""
    wanted = [c for c in EVENTS_TABLE.columns if c.name not in (*REQUIRED_EVENTS, "text") and c.name in present]
    return [pa.field(c.name, event_type(c)) for c in wanted]


def read_strict(path: Path, schema: pa.Schema, *, optional: bool = False) -> pa.Table:
    """Read a stage's Parquet file, whose columns must be exactly those of `schema` (plus optional event columns if
    allowed).

    Raises:
        UserError: A column is missing, surplus or of another type; the message names file and column.
    """
    try:
        # Read from one buffer: a memory map would keep the file open while the stage replaces it.
        table = pq.read_table(present(path), memory_map=False, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise _torn(path, error) from None
    return table.select(_checked(path, table.schema, schema, optional))


def iter_strict(path: Path, schema: pa.Schema, columns: Sequence[str], rows: int) -> Iterator[list[dict[str, Any]]]:
    """Like `read_strict`, but some columns in blocks of `rows`, so that memory does not grow with the file."""
    try:
        with pq.ParquetFile(present(path), pre_buffer=False, buffer_size=BUFFER) as file:
            _checked(path, file.schema_arrow, schema, optional=False)
            for batch in file.iter_batches(rows, columns=list(columns)):
                yield batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _torn(path, error) from None


def present(path: Path) -> Path:
    """Return the path; raises UserError, naming the stage that writes it, if there is no file."""
    if not path.exists():
        raise UserError(f"{path}: not found. Run the stage that writes it: `dvc repro {path.parent.name}`.")
    return path


def _torn(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: is damaged or not a Parquet file ({str(error).splitlines()[0]}). {_again(path)}")


def _again(path: Path) -> str:
    return f"Delete {path.parent} and run its stage again."


def _checked(path: Path, found: pa.Schema, schema: pa.Schema, optional: bool) -> list[str]:
    """Names of the fields, all of which match the schema."""
    fields = list(schema)
    if optional:
        fields += optional_event_fields(found.names)
    names = [field.name for field in fields]
    for missing in (name for name in names if name not in found.names):
        raise UserError(f"{path}: column `{missing}` is missing. {_again(path)}")
    for surplus in (name for name in found.names if name not in names):
        raise UserError(f"{path}: column `{surplus}` is not part of the table's contract. {_again(path)}")
    for field in fields:
        kind = found.field(field.name).type
        if kind != field.type:
            raise UserError(f"{path}: column `{field.name}` is {kind}, not {field.type}. {_again(path)}")
    return names
