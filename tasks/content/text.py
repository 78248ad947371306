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


def read_texts(path: Path) -> list[str]:
    """The text of each item, in the catalogue's order; raises UserError naming file and column."""
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
    return [item_text(row) for row in table.to_pylist()]
