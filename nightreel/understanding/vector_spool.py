"""Vectors of the items that have text, on disk between the two passes over the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.content.encoders.base import Vectors

BLOCK = 4096
"""Records that are read at once."""
Records = npt.NDArray[np.void]


class Spool:
    """Records of `row` (of the catalogue), `digest` (of the text) and `vector`, in the order in which they were
    added."""

    def __init__(self, path: Path, dim: int) -> None:
        self.path, self.count, self.read = path, 0, 0
        self.layout = np.dtype([("row", "<i8"), ("digest", "S64"), ("vector", "<f4", (dim,))])
        path.write_bytes(b"")

    def add(self, rows: Sequence[int], digests: Sequence[str], vectors: Vectors) -> None:
        """Append records; rows ascend."""
        records = np.empty(len(rows), self.layout)
        records["row"], records["digest"], records["vector"] = rows, digests, vectors
        with self.path.open("ab") as file:
            file.write(records.tobytes())
        self.count += len(rows)

    def take(self, numbers: npt.NDArray[np.int64]) -> Iterator[Vectors]:
        """Yield [≤ BLOCK, dim] vectors of some records, by their ascending numbers from 0."""
        for start in range(0, self.count, BLOCK):
            inside = slice(*np.searchsorted(numbers, (start, start + BLOCK)))
            if inside.start < inside.stop:
                yield self._records(start, BLOCK)["vector"][numbers[inside] - start]

    def next_until(self, row: int) -> Records:
        """The records of rows before `row` that were not returned yet."""
        parts: list[Records] = []
        while not parts or len(parts[-1]) == BLOCK:
            part = self._records(self.read, BLOCK)
            parts.append(part[part["row"] < row])
            self.read += len(parts[-1])
        return np.concatenate(parts)

    def _records(self, start: int, count: int) -> Records:
        return np.fromfile(self.path, self.layout, count, offset=start * self.layout.itemsize)
