"""Content vectors as files: a base that versions share, and the rows that have changed since it was written.

    vectors.npy               float32 [n, d]
    vectors.changed/rows.npy  int64 [c], ascending; values.npy: float32 [c, d]; both absent without changes
    vectors.usearch           the HNSW graph over vectors.npy, in large catalogues

So a night on which few items change publishes only their rows. The stored neighbours and the graph belong to the base;
changed rows are compared exactly when they are used.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import IntArray
from nightreel.models import ann_index
from nightreel.models.mapped_arrays import map_array

BASE = "vectors.npy"
CHANGED = "vectors.changed"
GRAPH = ann_index.FILE
COMPACT = 0.05  # share of changed rows above which a version writes a new base
Vectors = npt.NDArray[np.float32]


def write(folder: Path, vectors: Vectors, settings: Mapping[str, Any] | None, base: Path | None) -> None:
    """Write vectors into a bundle's folder.

    Args:
        folder: Of the bundle.
        vectors: [n, d].
        settings: Of the graph, with `least_items`; None: no graph.
        base: Folder of a version with the same items in the same order, whose base is reused if few rows differ.
    """
    old = np.load(base / BASE, mmap_mode="r", allow_pickle=False) if base is not None else None
    rows = _differing(old, vectors) if old is not None and old.shape == vectors.shape else None
    graph = folder / GRAPH if settings and len(vectors) >= settings["least_items"] else None
    if base is None or rows is None or len(rows) > COMPACT * len(vectors):
        np.save(folder / BASE, vectors, allow_pickle=False)
        if graph and settings:
            ann_index.build(vectors, settings, graph)
        return
    shutil.copyfile(base / BASE, folder / BASE)
    if len(rows):
        (folder / CHANGED).mkdir()
        np.save(folder / CHANGED / "rows.npy", rows, allow_pickle=False)
        np.save(folder / CHANGED / "values.npy", vectors[rows], allow_pickle=False)
    if graph and settings:
        if (base / GRAPH).exists():
            shutil.copyfile(base / GRAPH, graph)
        else:
            ann_index.build(np.asarray(old), settings, graph)


def read(folder: Path) -> tuple[Vectors, IntArray]:
    """The current vectors of a bundle's folder, and the rows that differ from its base.

    They are mapped copy-on-write, so that processes share all pages without a changed row.
    """
    if not (folder / CHANGED).is_dir():
        return map_array(folder / BASE), np.empty(0, np.int64)
    vectors = np.load(folder / BASE, mmap_mode="c", allow_pickle=False)
    rows, values = (np.load(folder / CHANGED / f"{name}.npy", allow_pickle=False) for name in ("rows", "values"))
    vectors[rows] = values
    vectors.flags.writeable = False
    return np.asarray(vectors), rows


def _differing(old: Vectors, new: Vectors) -> IntArray:
    return np.flatnonzero((old.view(np.uint32) != np.ascontiguousarray(new).view(np.uint32)).any(axis=1))
