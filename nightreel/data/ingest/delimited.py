"""Read CSV and TSV into raw columns; rows that can't be parsed are set aside, none is lost without being counted."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from nightreel.data.contract.tables import Table
from nightreel.data.ingest import open_quotes
from nightreel.data.ingest.raw_tables import Broken, Raw, is_utf8, require_distinct
from nightreel.errors import UserError

BLOCK_BYTES = 64 << 20
"""Bytes per block of the CSV parser; a row must fit."""
SWALLOWED = 100
"""Maximum lines in the last cell that count as a long text; more, inside an open quote, are lost rows."""
HEADER_LINES = 20
"""Maximum number of lines of a header; more are a quote that is never closed."""
HEADER_BYTES = 1 << 20
"""Maximum number of bytes of a header."""
BREAK = re.compile(r"[ \t]*[\r\n]+[ \t]*")


def read_delimited(content: bytes, file: str, table: Table, delimiter: str) -> Raw:
    """Read a file's content (UTF-8, without a byte order mark).

    Args:
        content: The whole file.
        file: Its name, for messages.
        table: The contract.
        delimiter: The delimiter.

    Raises:
        UserError: The header can't be read, or a quote is never closed and the lines behind it can't be told apart.
    """
    names, body, line = _header(content, file, delimiter)
    require_distinct(file, names)
    if not is_utf8(body):
        body = open_quotes.with_plain_faults(body, delimiter, len(names))
    raw, fault = Raw(table.name, file, {}, np.zeros(0, np.int64)), ""
    try:
        raw = _parse(raw, body, names, delimiter)
    except pa.ArrowException as error:
        # Arrow's own message may quote a row, and with it a user id.
        fault = "a quoted cell is never closed" if "straddl" in str(error) else "its rows can't be told apart"
    if (
        b'"' in body
        and (fault or _has_long_cells(raw, body))
        and any(c.filled and c.name in names for c in table.columns)
    ):
        freed = open_quotes.free(body, delimiter, names, table, line)
        if freed.lines:
            body, raw, fault = freed.content, _of_freed(raw, freed, names, delimiter), ""
    if fault:
        raise UserError(f"{file}: can't be parsed as CSV: {fault}. Export it again.")
    return _without_cut_row(raw, body, delimiter)


def _header(content: bytes, file: str, delimiter: str) -> tuple[list[str], bytes, int]:
    """(column names, content after the header, number of its first line in the file)."""
    lines = content[:HEADER_BYTES].splitlines(keepends=True)[: HEADER_LINES + 1]
    begin, end, closed = next(open_quotes.records(lines, open_quotes.Dialect(delimiter)))
    if not closed or end > HEADER_LINES:
        raise UserError(f"{file}: a quote in the header is never closed. Close it, or remove it.")
    text = b"".join(lines[begin:end])
    try:
        row = next(csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{file}: the first line is not a header in UTF-8. Put the column names there.") from None
    # Line breaks in a column's name come from wrapped cells of a spreadsheet, columns without a name from empty ones.
    names = [BREAK.sub(" ", name).strip() or f"column {at}" for at, name in enumerate(row, start=1)]
    return names, content[sum(map(len, lines[:end])) :], end + 1


def _parse(raw: Raw, body: bytes, names: Sequence[str], delimiter: str) -> Raw:
    broken: list[Broken] = []

    def set_aside(row: pv.InvalidRow) -> str:
        seen = {"cells": row.actual_columns, "columns": row.expected_columns, "lines": row.text.count("\n") + 1}
        broken.append(Broken(row.number, "number of cells", seen))
        return "skip"

    # Columns go by position, because arrow would read names of its own out of the header. Cells stay binary, so that
    # invalid UTF-8 affects a row, not the file. One thread, because rows are numbered.
    positions = [str(at) for at in range(len(names))]
    if not body.strip(b"\r\n"):
        return replace(raw, columns={name: pa.array([], pa.binary()) for name in names})
    table = pv.read_csv(
        io.BytesIO(body),
        read_options=pv.ReadOptions(
            use_threads=False, block_size=min(max(len(body), 1024), BLOCK_BYTES), column_names=positions
        ),
        parse_options=pv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=set_aside),
        convert_options=pv.ConvertOptions(
            column_types=dict.fromkeys(positions, pa.binary()), strings_can_be_null=True, null_values=[""]
        ),
    )
    numbers = np.arange(1, table.num_rows + len(broken) + 1, dtype=np.int64)
    rows = np.setdiff1d(numbers, [fault.row for fault in broken], assume_unique=True)
    columns = {name: table.column(at).combine_chunks() for at, name in enumerate(names)}
    return replace(raw, columns=columns, rows=rows, broken=broken)


def _of_freed(raw: Raw, freed: open_quotes.Freed, names: Sequence[str], delimiter: str) -> Raw:
    parsed = _parse(raw, freed.content, names, delimiter)
    broken = [
        Broken(fault.row, "open quote", {"line": freed.unreadable[fault.row]})
        if fault.row in freed.unreadable
        else fault
        for fault in parsed.broken
    ]
    note = (
        f"{raw.file}: {freed.quotes:,} cells begin with a quote that is never closed, the first in line "
        f"{freed.first:,}: they would swallow {freed.lines:,} lines, which were read one by one instead. Export the "
        "file with quotes doubled inside quoted cells."
    )
    return replace(parsed, broken=broken, notes=[note])


def _has_long_cells(raw: Raw, body: bytes) -> bool:
    """Whether a row takes more than one line."""
    if max(body.count(b"\n"), body.count(b"\r")) <= len(raw.rows) + len(raw.broken):
        return False
    if any(fault.seen["lines"] > 1 for fault in raw.broken):
        return True
    return any(pc.any(pc.match_substring_regex(cells, r"[\r\n]")).as_py() for cells in raw.columns.values())


def _without_cut_row(raw: Raw, body: bytes, delimiter: str) -> Raw:
    """Drop an incomplete last row: too few cells and no newline after it, or a quote that is never closed.

    Raises UserError if that quote includes more than SWALLOWED lines: rows would be lost without being counted.
    """
    last = max([0, *raw.rows[-1:].tolist(), *[fault.row for fault in raw.broken]])
    fault = next((fault for fault in raw.broken if fault.row == last), None)
    cells = [] if fault or not len(raw.rows) else [column[-1].as_py() or b"" for column in raw.columns.values()]
    lines = fault.seen.get("lines", 1) if fault else 1 + sum(cell.count(b"\n") for cell in cells)
    open_quote = body.count(b'"') % 2 == 1 and _ends_open(body, delimiter)
    if open_quote and lines > SWALLOWED:
        raise UserError(
            f"{raw.file}: a quoted cell that begins in row {last} is never closed: it swallows {lines:,} lines. "
            "Export the file again."
        )
    cut = not body.endswith(b"\n") and (fault is not None or open_quote)
    if not cut and not (open_quote and lines > 1):
        return raw
    note = f"{raw.file}: the last row is incomplete: the file may be truncated. Compare its size with the original's."
    if fault:
        return replace(raw, notes=[*raw.notes, note])
    columns = {name: column[:-1] for name, column in raw.columns.items()}
    broken = [*raw.broken, Broken(last, "cut row", {"cells": len(columns), "lines": lines})]
    return replace(raw, columns=columns, rows=raw.rows[:-1], broken=broken, notes=[*raw.notes, note])


def _ends_open(body: bytes, delimiter: str) -> bool:
    """Whether the last row has a quote that is never closed."""
    rows = open_quotes.records(body.splitlines(keepends=True), open_quotes.Dialect(delimiter))
    return not deque(rows, maxlen=1)[0][2]
