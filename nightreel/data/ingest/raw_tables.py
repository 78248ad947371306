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
