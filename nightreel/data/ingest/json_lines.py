"""Read JSON Lines into raw columns: by pyarrow if every line is valid, else line by line to find the invalid ones."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as pj

from nightreel.data.contract.tables import Table
from nightreel.errors import UserError

BLOCK_BYTES = 64 << 20
"""Bytes per block of arrow's parser; a line must fit."""
Fault = tuple[int, str, dict[str, int]]
Lines = tuple[dict[str, pa.Array], npt.NDArray[np.int64], list[Fault], list[str]]


def read_lines(content: bytes, table: Table, file: str) -> Lines:
    """(columns, 1-based line numbers, faults, notes). Raises UserError if the file is some other JSON, or none."""
    if content.lstrip()[:1] == b"[":
        raise UserError(
            f"{file}: is one JSON array, not one object a line. Convert it, for example with jq: `jq -c '.[]'`."
        )
    kinds = {column.name: column.kind for column in table.columns}
    whole = _read_whole(content, kinds)
    if whole:
        return whole, _count(whole), [], []
    columns, rows, faults, notes = _read_each(content, kinds, file)
    if faults and not len(rows):
        raise UserError(f"{file}: none of its {len(faults):,} lines is a JSON object. {_remedy(content.lstrip())}")
    return columns, rows, faults, notes


def _remedy(content: bytes) -> str:
    """What to do about a file without a single JSON object."""
    if content[:2] == b"{'" or content[:3] == b"{u'":
        return (
            "They look like Python dictionaries, with single quotes. Read each one with `ast.literal_eval`, and write "
            "it with `json.dumps`."
        )
    if content[:1] == b"{":
        return "Write one object a line, without line breaks inside, for example with jq: `jq -c .`."
    return "Write one object a line (JSON Lines), or correct the file's ending."


def _read_whole(content: bytes, kinds: Mapping[str, str]) -> dict[str, pa.Array] | None:
    """Parse all lines at once (ten times as fast), or return None if one of them is invalid or blank."""
    if b"\n\n" in content or b"\n\r" in content or b"\\u" in content:
        return None
    text = {name: pa.string() for name, kind in kinds.items() if kind in ("id", "text")}
    lists = {name: pa.list_(pa.string()) for name, kind in kinds.items() if kind == "list"}
    try:
        found = pj.read_json(
            io.BytesIO(content),
            pj.ReadOptions(block_size=min(len(content) + 1, BLOCK_BYTES)),
            pj.ParseOptions(explicit_schema=pa.schema(text | lists)),
        )
        given = {name: found[name].combine_chunks() for name in found.column_names}
    except (pa.ArrowException, UnicodeDecodeError):  # the latter of a name that is not UTF-8
        return None
    # The explicit columns appear even if no line has them.
    return {name: cells for name, cells in given.items() if name not in kinds or f'"{name}"'.encode() in content}


def _count(columns: dict[str, pa.Array]) -> npt.NDArray[np.int64]:
    return np.arange(1, len(next(iter(columns.values()))) + 1, dtype=np.int64)


def _read_each(content: bytes, kinds: Mapping[str, str], file: str) -> Lines:
    """Scalars become text as JSON writes them, lists stay lists."""
    cells: dict[str, list[Any]] = {}
    rows: list[int] = []
    faults: list[Fault] = []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        fault, record = _parse(line, kinds)
        if fault:
            faults.append((number, fault, {"characters": len(line)}))
            continue
        for name in record:
            if name not in cells:
                cells[name] = [None] * len(rows)
        for name, column in cells.items():
            column.append(record.get(name))
        rows.append(number)
    columns = {
        name: pa.array(column, pa.list_(pa.string()) if kinds.get(name) == "list" else pa.string())
        for name, column in cells.items()
    }
    cut = bool(lines[-1].strip()) and bool(faults) and faults[-1][0] == len(lines)
    notes = [f"{file}: the last line is incomplete: the file may be truncated. Compare its size with the original's."]
    return columns, np.array(rows, np.int64), faults, notes if cut else []


def _parse(line: bytes, kinds: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """(violated rule, cells); the rule is empty if the line is an object of scalars and lists of text."""
    try:
        record = json.loads(line)
    except UnicodeDecodeError:
        return "encoding", {}
    except (ValueError, RecursionError):
        return "not JSON", {}
    if not isinstance(record, dict):
        return "not an object", {}
    # An escaped half of a surrogate pair is not text: it can't be written as UTF-8.
    if b"\\u" in line and any(0xD800 <= ord(letter) <= 0xDFFF for letter in json.dumps(record, ensure_ascii=False)):
        return "encoding", {}
    for name, cell in record.items():
        kind = kinds.get(name)
        if kind is None:
            record[name] = None  # a column that is not read: only its name is kept, for the note about ignored columns
        elif cell is not None and (type(cell) is not str or kind == "list"):
            try:
                record[name] = _labels(cell) if kind == "list" else _text(cell)
            except TypeError:
                return "nested cell", {}
    return "", record


def _text(cell: Any) -> str:
    if isinstance(cell, (dict, list)):
        raise TypeError
    return json.dumps(cell) if isinstance(cell, (bool, float)) else str(cell)


def _labels(cell: Any) -> list[str]:
    if isinstance(cell, dict):
        raise TypeError
    return [str(label) for label in cell] if isinstance(cell, list) else str(cell).split("|")
