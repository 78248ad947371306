"""Arrays of .npy files, memory-mapped and read-only: only what is used is read, and processes share it."""

from __future__ import annotations

import math
import mmap
import os
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LONGEST_HEADER = 10_000  # bytes


def map_array(path: Path) -> npt.NDArray[Any]:
    """Map a file of plain numbers in rows.

    In place of `numpy.load`, which resolves the path each time, and whose arrays of their own class make every slice of
    them several times as slow.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds anything else, or its length is not that of its numbers.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        try:
            shape, by_columns, kind = read(file, max_header_size=LONGEST_HEADER)
        except (tokenize.TokenError, SyntaxError) as error:  # numpy reads the header as Python
            raise ValueError(f"its header can't be read ({error})") from None
        numbers = kind.kind in "biuf" and kind.byteorder != ">" and not kind.hasobject
        if not numbers or by_columns or min(shape, default=0) < 0:
            raise ValueError("it holds no plain numbers in rows")
        offset, count = file.tell(), math.prod(shape)
        if os.fstat(file.fileno()).st_size != offset + count * kind.itemsize:
            raise ValueError("its length is not that of its numbers")
        if not count:
            return np.empty(shape, kind)
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(whole, kind, count, offset).reshape(shape)
