"""Read one source file into raw columns; unreadable rows are set aside. Types are handled later, in `casting`."""

from __future__ import annotations

import bz2
import difflib
import gzip
import io
import lzma
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.data.contract.tables import TABLES, Column, Table
from nightreel.data.ingest.delimited import read_delimited
from nightreel.data.ingest.json_lines import read_lines
from nightreel.data.ingest.raw_tables import Broken, Raw, require_distinct
from nightreel.data.ingest.sources import SourceFile
from nightreel.errors import UserError

UUID_BYTES = 16
NAME = re.compile(r"^[\w .:/()#%-]{1,60}$")
"""What looks like the name of a column."""
NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""Value of a partition in the path of rows that have none."""


def raw_columns(file: str, cells: dict[str, list[str]]) -> tuple[str, dict[str, pa.Array], npt.NDArray[np.int64]]:
    """(file, columns, rows) of text cells in memory; "" is an empty cell."""
    columns = {name: pa.array(column, pa.string()) for name, column in cells.items()}
    return file, columns, np.arange(1, len(next(iter(cells.values()))) + 1, dtype=np.int64)


def read_raw(file: SourceFile, tables: Mapping[str, Table] = TABLES) -> Raw:
    """Read a file of any supported format; keeps the columns that `tables` has.

    Raises:
        UserError: The file is truncated, empty or of another kind; the message names it.
    """
    table = tables[file.table]
    suffixes = [part.lower() for part in file.path.name.split(".")[1:]]
    packed = suffixes[-1] if suffixes[-1] in ("gz", "zst", "bz2", "xz") else ""
    kind = suffixes[-2] if packed else suffixes[-1]
    if kind == "parquet":
        raw = _read_parquet(file, packed)
    elif kind in ("csv", "tsv"):
        raw = read_delimited(_text_bytes(file, packed), file.name, table, "," if kind == "csv" else "\t")
    else:
        columns, rows, broken, notes = read_lines(_text_bytes(file, packed), table, file.name)
        raw = Raw(file.table, file.name, columns, rows, [Broken(*fault) for fault in broken], notes)
    return _known_columns(_with_partitions(raw, table), table)


def _with_partitions(raw: Raw, table: Table) -> Raw:
    """Add the columns that only the path has: `events/event=watch/part-0.parquet`."""
    columns, n = dict(raw.columns), len(raw.rows)
    for part in raw.file.split("/")[1:-1]:
        name, given, value = part.partition("=")
        if given and name in table.names and name not in columns:
            text = None if value == NO_PARTITION else unquote(value)
            columns[name] = pa.repeat(pa.scalar(text, pa.string()), n)
    return replace(raw, columns=columns)


def _content(file: SourceFile, packed: str) -> bytes:
    try:
        content = file.path.read_bytes()
        if packed == "gz":
            return gzip.decompress(content)
        if packed == "bz2":
            return bz2.decompress(content)
        if packed == "xz":
            return lzma.decompress(content)
        if packed == "zst":
            return bytes(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())
        return content
    except PermissionError:
        raise UserError(f"{file.name}: permission denied. Give this user read access.") from None
    except (EOFError, OSError, ValueError, lzma.LZMAError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(
            f"{file.name}: the .{packed} stream is truncated or damaged ({error}). Copy the file again."
        ) from None


def _text_bytes(file: SourceFile, packed: str) -> bytes:
    content = _content(file, packed)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{file.name}: is encoded as UTF-16. Save it as UTF-8.")
    if not content.strip():
        raise UserError(f"{file.name}: is empty. Add a header and rows, or remove the file.")
    return content.removeprefix(b"\xef\xbb\xbf")


def _read_parquet(file: SourceFile, packed: str) -> Raw:
    try:
        source = io.BytesIO(_content(file, packed)) if packed else file.path
        table = pq.ParquetFile(source).read()
    except PermissionError:
        raise UserError(f"{file.name}: permission denied. Give this user read access.") from None
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"{file.name}: is truncated or not a Parquet file ({first}). Copy the file again, or correct its extension."
        ) from None
    require_distinct(file.name, table.column_names)
    columns = {name: _plain(table.column(name)) for name in table.column_names}
    return Raw(file.table, file.name, columns, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array, without dictionaries, run lengths and extension types; a UUID becomes its text."""
    cells = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    while isinstance(cells.type, (pa.BaseExtensionType, pa.DictionaryType, pa.RunEndEncodedType)):
        if isinstance(cells.type, pa.DictionaryType):
            cells = cells.dictionary_decode()
        elif isinstance(cells.type, pa.RunEndEncodedType):
            cells = pc.run_end_decode(cells)
        else:
            cells = cells.storage
    if pa.types.is_float16(cells.type):  # hardly any function of arrow takes it
        return cells.cast(pa.float32())
    if pa.types.is_fixed_size_binary(cells.type) and cells.type.byte_width == UUID_BYTES:
        coded = cells.dictionary_encode()
        names = pa.array([str(UUID(bytes=name)) for name in coded.dictionary.to_pylist()], pa.string())
        return names.take(coded.indices)
    return cells.cast(pa.binary()) if pa.types.is_fixed_size_binary(cells.type) else cells


def _known_columns(raw: Raw, table: Table) -> Raw:
    """Keep only the table's columns; raises UserError for a missing required one, notes the ignored ones. A name that
    differs from the contract's in case and spaces alone is taken for it."""
    taken = _renamed(list(raw.columns), table)
    found = {taken.get(name, name): cells for name, cells in raw.columns.items()}
    for column in table.columns:
        if column.required and column.name not in found:
            raise UserError(_missing(raw.file, column, list(found)))
    surplus = sorted(set(found) - set(table.names))
    read_as = ", ".join(f"`{name}` as `{known}`" for name, known in taken.items())
    notes = [f"{raw.file}: columns with other names: {read_as}."] if taken else []
    notes += [f"{raw.file}: ignored columns that are not part of the contract: {_shown(surplus)}."] if surplus else []
    columns = {name: found[name] for name in table.names if name in found}
    return replace(raw, columns=columns, notes=[*raw.notes, *notes])


def _shown(names: Sequence[str]) -> str:
    """Names of columns for display; a damaged header may hold a row's cells, which are not shown."""
    return ", ".join(name if NAME.match(name) else "[masked]" for name in names)


def _renamed(names: Sequence[str], table: Table) -> dict[str, str]:
    """Column of the file → name in the contract, where they differ in case and spaces alone and only one does."""
    meant: dict[str, list[str]] = {}
    for name in names:
        meant.setdefault("".join(name.split()).casefold(), []).append(name)
    return {
        meant[name.casefold()][0]: name
        for name in table.names
        if name not in names and len(meant.get(name.casefold(), [])) == 1
    }


def _missing(file: str, column: Column, found: Sequence[str]) -> str:
    """The message for a required column that the file lacks."""
    near = difflib.get_close_matches(column.name, found, n=1, cutoff=0.6)
    remedy = f"Rename `{near[0]}`?" if near else "Add it."
    mark = next((mark for mark in ("::", ";", "\t", "|", ",") if len(found) == 1 and mark in found[0]), None)
    if mark:
        shown = "tabs" if mark == "\t" else f"`{mark}`"
        remedy = f"Separate the columns by commas (.csv) or tabs (.tsv); they are separated by {shown}."
    return f"{file}: column `{column.name}` ({column.meaning}) is missing; found {', '.join(found)}. {remedy}"
