"""A process that writes to an item cache without end, and looks after each write whether its rows are all there.

Run as `python -m tests.content.cache_writer FOLDER NAME SECONDS`; prints how many rows it wrote.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nightreel.content.cache.shards import write_shard
from nightreel.content.cache.vector_cache import key_of, open_shards

Rows = dict[bytes, Any]


def rows_of(texts: Sequence[str], dim: int = 4) -> Rows:
    """A row for each text."""
    return {key_of(text): np.full(dim, len(text), np.float32) for text in texts}


def read_cache(folder: Path, dim: int = 4) -> Rows:
    """All that a cache holds."""
    opened = open_shards(folder, dim)
    return {key: vector for shard in opened for key, vector in map(shard.__getitem__, range(len(shard.heads)))}


def names(writer: str, n: int) -> list[str]:
    """The first n texts of a writer."""
    return [f"{writer}-{m}" for m in range(n)]


def write(folder: Path, writer: str, seconds: float) -> int:
    """Rows written; raises SystemExit where one was lost."""
    n, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        lost = set(rows_of(names(writer, n))) - set(read_cache(folder))
        if lost:
            raise SystemExit(f"{len(lost)} of {n} rows of {writer} were lost")
        write_shard(folder, rows_of([f"{writer}-{n}"]))
        n += 1
    return n


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
