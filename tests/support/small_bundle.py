"""A real bundle in a second: popularity alone, written as refit writes one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.format import seal
from nightreel.data.histories import Histories
from nightreel.models.catalogue import catalogue_of
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.selected_params import SelectedParams

POPULAR = SelectedParams(
    members={"popularity": {"half_life_days": 1000.0, "buckets": 4}}, blend="popularity", columns=(), cutoff=50, shortlist=50,
    half_life_days=(1000.0,), buckets=4, encoder="base", moment="last_event",
)  # fmt: skip


def write_bundle(folder: Path, items: list[str], users: list[str], learnt: Histories, seed: int = 0) -> str:
    """Popularity over `learnt` (one row a user) as a sealed bundle; returns its digest. The seed makes versions."""
    folder.mkdir(parents=True)
    table = pa.table({"item_id": items, "title": [f"Film {item}" for item in items]})
    vectors = np.random.default_rng(seed).normal(size=(len(items), 4)).astype(np.float32)
    pq.write_table(table, folder / "items.parquet")
    pq.write_table(pa.table({"user_id": users}), folder / "users.parquet")
    np.save(folder / "vectors.npy", vectors)
    for name in ("histories", "seen"):
        (folder / name).mkdir()
        for part in ("indptr", "items", "times"):
            np.save(folder / name / f"{part}.npy", getattr(learnt, part))
    fit_engine(learnt, catalogue_of(table, vectors), POPULAR, clock=True).save(folder)
    return seal(
        folder,
        {
            "clock": "time", "exclude_seen": True, "data_until": float(learnt.times.max()), "members": ["popularity"],
            "moment": "last_event", "pseudonymised": False, "key_fingerprint": None,
        },
    )  # fmt: skip
