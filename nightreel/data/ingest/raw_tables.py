"""What a reader of files returns: raw columns with their row numbers, and the rows that could not be parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightreel.errors import UserError


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


def require_distinct(file: str, columns: Sequence[str]) -> None:
    """Raise UserError if a file has two columns of one name."""
    for column in columns:
        if columns.count(column) > 1:
            raise UserError(f"{file}: column `{column}` appears {columns.count(column)} times. Keep one of them.")


def is_utf8(content: bytes) -> bool:
    """Whether content is valid UTF-8; without a copy of it."""
    if content.isascii():
        return True
    offsets = pa.py_buffer(np.array([0, len(content)], np.int64))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(content)]).validate(full=True)
    except pa.ArrowException:
        return False
    return True
