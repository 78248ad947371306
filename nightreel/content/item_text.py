"""The text of an item, as the encoder reads it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nightreel.errors import UserError

# Ordered by importance, because an encoder truncates long texts: the transcript comes last.
FIELDS = ("title", "genres", "tags", "creators", "description", "transcript")
COLUMNS = ("item_id", "title")
"""Columns that a catalogue must have; the other fields are optional."""
BLOCK, BUFFER = 4096, 1 << 20
"""Number of items, and bytes of a column, per block."""


def item_text(row: Mapping[str, Any]) -> str:
    """One line per field that the item has, in the order of FIELDS; lists are joined by commas.

    Unicode is composed (NFC) and white space collapsed, so that texts that look equal are equal. An item without any of
    the fields has the empty text, whose vector is zero.
    """
    return "\n".join(_lines(row))


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    for field in FIELDS:
        value = row.get(field)
        parts = [value] if isinstance(value, str) else list(value or ())
        line = ", ".join(clean for part in parts if (clean := _clean(part)))
        if line:
            yield line


def _clean(part: str | None) -> str:
    return " ".join(unicodedata.normalize("NFC", part or "").split())


def read_texts(path: Path, understood: Path | None = None) -> list[str]:
    """The text of each item, in the catalogue's order; raises UserError naming file and column.

    understood: output of understand; its transcript is used where the catalogue has none.
    """
    return [text for block in text_blocks(path, understood) for text in block]


def titles(path: Path) -> Iterator[str]:
    """Title of each item, empty if it has none; raises UserError naming the file."""
    with _open(path, "validate") as file:
        yield from (row.get("title") or "" for row in _rows(file, ["title"], path, "validate"))


def count_texts(path: Path) -> int:
    """Number of items of a catalogue."""
    with _open(path, "validate") as file:
        return int(file.metadata.num_rows)


def text_blocks(path: Path, understood: Path | None = None) -> Iterator[list[str]]:
    """Like `read_texts`, in blocks of BLOCK items; memory does not grow with the catalogue."""
    with ExitStack() as stack:
        items = stack.enter_context(_open(path, "validate"))
        columns = items.schema_arrow.names
        if lacking := [name for name in COLUMNS if name not in columns]:
            raise UserError(f"{path}: column {lacking[0]} is missing. Run `dvc repro -f validate` to write it again.")
        rows = _rows(items, [name for name in FIELDS if name in columns], path, "validate")
        if understood is not None:
            more = stack.enter_context(_open(understood, "understand"))
            found, n = more.metadata.num_rows, items.metadata.num_rows
            if found != n:
                raise UserError(
                    f"{understood}: {found:,} rows for {n:,} items. Run `dvc repro -f understand` to write it again."
                )
            heard = _rows(more, ["transcript"], understood, "understand")
            rows = (
                row | {"transcript": row.get("transcript") or own["transcript"]}
                for row, own in zip(rows, heard, strict=True)
            )
        while block := [item_text(row) for row in islice(rows, BLOCK)]:
            yield block


def _open(path: Path, stage: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
    except FileNotFoundError:
        raise UserError(f"{path}: not found. Run `dvc repro {stage}` to write it.") from None
    except (OSError, ValueError) as error:
        raise _torn(path, stage, error) from None


def _rows(file: pq.ParquetFile, columns: list[str], path: Path, stage: str) -> Iterator[dict[str, Any]]:
    try:
        for batch in file.iter_batches(BLOCK, columns=columns):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise _torn(path, stage, error) from None


def _torn(path: Path, stage: str, error: Exception) -> UserError:
    return UserError(f"{path}: can't be read ({error}). Run `dvc repro -f {stage}` to write it again.")
