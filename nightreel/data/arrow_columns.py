"""Arrow columns as numpy arrays, without the imports of pyarrow's own conversions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def numbers(column: pa.ChunkedArray, missing: float) -> npt.NDArray[Any]:
    """[n] a column of numbers. Avoids to_numpy and scalars, which import pandas if it is installed (0.3 s)."""
    whole = column.combine_chunks()
    if not whole.null_count:
        return np.from_dlpack(whole)
    known = whole.is_valid()
    bits = np.unpackbits(np.frombuffer(known.buffers()[1], np.uint8), bitorder="little")
    present = np.from_dlpack(whole.drop_null())
    found = np.full(len(whole), missing, present.dtype)
    found[bits[known.offset : known.offset + len(whole)].astype(bool)] = present
    return found
