"""Read one source file into raw columns; unreadable rows are set aside. Types are handled later, in `casting`."""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import io
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from nightreel.data.contract.tables import TABLES, Table
from nightreel.data.ingest.json_lines import read_lines
from nightreel.data.ingest.sources import SourceFile
from nightreel.errors import UserError

BLOCK_BYTES = 64 << 20
"""Bytes per block of the CSV parser; a row must fit."""
SWALLOWED = 100
"""Maximum lines in one cell that count as a long text; more, inside an open quote, are lost rows."""


@dataclass(frozen=True)
class Broken:
    """A row that could not be parsed. rule: as in the report; seen: what may be shown of it."""

    row: int
    rule: str
    seen: dict[str, int]


@dataclass(frozen=True)
class Raw:
    """Raw columns of a file (CSV cells are binary). rows: [n] int64, 1-based data row of each."""

    table: str
    file: str
    columns: dict[str, pa.Array]
    rows: npt.NDArray[np.int64]
    broken: list[Broken] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
        raw = _read_delimited(file, _text_bytes(file, packed), "," if kind == "csv" else "\t")
    else:
        columns, rows, broken, notes = read_lines(_text_bytes(file, packed), table, file.name)
        raw = Raw(file.table, file.name, columns, rows, [Broken(*fault) for fault in broken], notes)
    return _known_columns(raw, table)


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
    _check_header(file.name, table.column_names)
    columns = {name: _plain(table.column(name)) for name in table.column_names}
    return Raw(file.table, file.name, columns, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _read_delimited(file: SourceFile, content: bytes, delimiter: str) -> Raw:
    broken: list[Broken] = []

    def set_aside(row: pv.InvalidRow) -> str:
        lines = row.text.count("\n") + 1
        seen = {"cells": row.actual_columns, "columns": row.expected_columns, "lines": lines}
        broken.append(Broken(row.number - 1, "number of cells", seen))  # the parser counts the header as row 1
        return "skip"

    names = _header(file, content, delimiter)
    try:
        # Cells stay binary, so that invalid UTF-8 affects a row, not the file. One thread, because rows are numbered.
        table = pv.read_csv(
            io.BytesIO(content),
            read_options=pv.ReadOptions(use_threads=False, block_size=min(max(len(content), 1024), BLOCK_BYTES)),
            parse_options=pv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside),
            convert_options=pv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=True, null_values=[""]
            ),
        )
    except pa.ArrowException as error:
        fault = "a quoted cell is never closed" if "straddl" in str(error) else str(error).splitlines()[0]
        raise UserError(f"{file.name}: can't be parsed as CSV: {fault}. Export it again.") from None
    numbers = np.arange(1, table.num_rows + len(broken) + 1, dtype=np.int64)
    rows = np.setdiff1d(numbers, [fault.row for fault in broken], assume_unique=True)
    columns = {name: _plain(table.column(name)) for name in names}
    return _without_cut_row(Raw(file.table, file.name, columns, rows, broken), content)


def _header(file: SourceFile, content: bytes, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([content.splitlines()[0].decode()], delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{file.name}: the first line is not a header in UTF-8. Put the column names there.") from None
    _check_header(file.name, names)
    return names


def _check_header(name: str, columns: list[str]) -> None:
    for column in columns:
        if columns.count(column) > 1:
            raise UserError(f"{name}: column `{column}` appears {columns.count(column)} times. Keep one of them.")


def _without_cut_row(raw: Raw, content: bytes) -> Raw:
    """Drop an incomplete last row: too few cells and no newline after it, or a quote that is never closed.

    Raises UserError if that quote includes more than SWALLOWED lines: rows would be lost without being counted.
    """
    last = max([0, *raw.rows[-1:].tolist(), *[fault.row for fault in raw.broken]])
    fault = next((fault for fault in raw.broken if fault.row == last), None)
    cells = [] if fault or not len(raw.rows) else [column[-1].as_py() or b"" for column in raw.columns.values()]
    lines = int(fault.seen["lines"]) if fault else 1 + sum(cell.count(b"\n") for cell in cells)
    open_quote = content.count(b'"') % 2 == 1
    if open_quote and lines > SWALLOWED:
        raise UserError(
            f"{raw.file}: a quoted cell that begins in row {last} is never closed: it swallows {lines:,} lines. "
            "Export the file again."
        )
    cut = not content.endswith(b"\n") and (fault is not None or open_quote)
    if not cut and not (open_quote and lines > 1):
        return raw
    note = f"{raw.file}: the last row is incomplete: the file may be truncated. Compare its size with the original's."
    if fault:
        return replace(raw, notes=[note])
    columns = {name: column[:-1] for name, column in raw.columns.items()}
    broken = [*raw.broken, Broken(last, "cut row", {"cells": len(columns), "lines": lines})]
    return replace(raw, columns=columns, rows=raw.rows[:-1], broken=broken, notes=[note])


def _known_columns(raw: Raw, table: Table) -> Raw:
    """Keep only the table's columns; raises UserError for a missing required one, notes the ignored ones."""
    found = list(raw.columns)
    for column in table.columns:
        if column.required and column.name not in found:
            near = difflib.get_close_matches(column.name, found, n=1, cutoff=0.6)
            remedy = f"Rename `{near[0]}`?" if near else "Add it."
            if len(found) == 1 and any(mark in found[0] for mark in ";,|\t"):
                remedy = "Separate the columns by commas (.csv) or tabs (.tsv)."
            raise UserError(
                f"{raw.file}: column `{column.name}` ({column.meaning}) is missing; found {', '.join(found)}. {remedy}"
            )
    surplus = sorted(set(found) - set(table.names))
    notes = [f"{raw.file}: ignored columns that are not part of the contract: {', '.join(surplus)}."] if surplus else []
    columns = {name: raw.columns[name] for name in table.names if name in raw.columns}
    return replace(raw, columns=columns, notes=[*raw.notes, *notes])
