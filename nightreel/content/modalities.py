"""Sound and picture vectors of items, in the catalogue's order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.errors import UserError

MEDIA = ("sound", "picture")
Vectors = npt.NDArray[np.float32]


def read_media_vectors(path: Path) -> dict[str, Vectors]:
    """{"sound": [n, d], "picture": [n, e]}, without those that no item has; an item without one has a zero row.

    Raises UserError naming the file if it can't be read or an item's vector has another length.
    """
    again = "Run `dvc repro -f understand` to write it again."
    try:
        table = pq.read_table(path, columns=["item_id", *MEDIA])
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: can't be read ({error}). {again}") from None
    found = {}
    for name in MEDIA:
        cells = table[name].combine_chunks()
        lengths = pc.list_value_length(cells).fill_null(0).to_numpy(zero_copy_only=False)
        width = int(lengths.max(initial=0))
        if not width:
            continue
        odd = np.flatnonzero((lengths > 0) & (lengths != width))
        if len(odd):
            item = table["item_id"][int(odd[0])].as_py()
            raise UserError(f"{path}: item {item}: its {name} has {lengths[odd[0]]} numbers; expected {width}. {again}")
        found[name] = _dense(cells, lengths > 0, width)
    return found


def _dense(cells: pa.ListArray, there: npt.NDArray[np.bool_], width: int) -> Vectors:
    vectors = np.zeros((len(cells), width), np.float32)
    vectors[there] = pc.list_flatten(cells).to_numpy(zero_copy_only=False).reshape(-1, width)
    return vectors
