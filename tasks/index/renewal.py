"""A version with other metadata and the same models: titles, genres and the like of some items, no night's training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.index.assembly import same_items
from tasks.index.bundle import MANIFEST, read_manifest, seal
from tasks.index.reader import Reader
from tasks.index.stored import LISTS, NEIGHBOURS, precompute
from tasks.models import vectors as content
from tasks.stage import UserError

WRITTEN = {"items.parquet", content.BASE, content.CHANGED, content.GRAPH, LISTS, NEIGHBOURS, MANIFEST, "lineage.json"}


def renew(folder: Path, base: Path, items: pa.Table, vectors: npt.NDArray[np.float32]) -> str:
    """Write and seal a bundle in `folder`; returns its digest.

    base: a version's folder; items: its items in its order, with other metadata; vectors: [n, d] what their texts are
    encoded to now. Members and histories are the base's, byte for byte; the users' lists are answered anew. Raises
    UserError for other items: they need a night.
    """
    if same_items(base, items) is None:
        raise UserError(
            f"{base}: has other items, or the same in another order. Only what is said of them can change without a "
            "nightly run; run one."
        )
    config = read_manifest(base).config
    shutil.copytree(base, folder, ignore=lambda at, names: WRITTEN & set(names) if Path(at) == base else ())
    pq.write_table(items, folder / "items.parquet")
    content.write(folder, vectors, config.get("vector_index"), base)
    seal(folder, config)
    return precompute(folder, Reader.open_bundle(folder, check=False), base)
