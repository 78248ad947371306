"""The text of an item, as the encoder reads it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.stage import UserError

# In the order of what an encoder must not lose when it cuts a long text: the transcript comes last.
FIELDS = ("title", "genres", "tags", "creators", "description", "transcript")
COLUMNS = ("item_id", "title")
"""Columns that a catalogue must have; the other fields are optional."""


def item_text(row: Mapping[str, Any]) -> str:
    """One line a field that the item has, in the order of FIELDS; lists are joined by commas.

    Unicode is composed (NFC) and white space collapsed, so that a text that looks the same is the same.
    An item without any of the fields has the empty text, whose vector is zero.
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

    understood: what understand wrote; its transcript is read where the catalogue has none.
    """
    try:
        columns = pq.read_schema(path).names
        lacking = [name for name in COLUMNS if name not in columns]
        if lacking:
            raise UserError(f"{path}: column {lacking[0]} is missing. Run `dvc repro -f validate` to write it again.")
        table = pq.read_table(path, columns=[name for name in FIELDS if name in columns])
    except FileNotFoundError:
        raise UserError(f"{path}: not found. Run `dvc repro validate` to write it.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read ({error}). Run `dvc repro -f validate` to write it again.") from None
    rows = table.to_pylist()
    if understood is not None:
        heard = _transcripts(understood, len(rows))
        rows = [row | {"transcript": row.get("transcript") or own} for row, own in zip(rows, heard, strict=True)]
    return [item_text(row) for row in rows]


def _transcripts(path: Path, n: int) -> list[str | None]:
    try:
        found: list[str | None] = pq.read_table(path, columns=["transcript"])["transcript"].to_pylist()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read ({error}). Run `dvc repro -f understand` to write it again.") from None
    if len(found) != n:
        raise UserError(
            f"{path}: {len(found):,} rows for {n:,} items. Run `dvc repro -f understand` to write it again."
        )
    return found
