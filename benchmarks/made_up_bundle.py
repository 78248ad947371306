"""A made-up version of any size, for measuring the reader: real members, random tastes, unit vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.data.histories import Histories
from tasks.index.assembly import write_histories
from tasks.index.bundle import seal
from tasks.models.catalogue import catalogue_of
from tasks.models.choices import Choices
from tasks.models.training import fit_engine

DAY, START = 86_400.0, 1.7e9
CLOSED = {"regularisation": 200.0, "decay": 10.0, "keep": 64.0, "max_items": 2000.0}
CHOICES = Choices(
    members={
        "popularity": {"half_life_days": 30.0, "buckets": 16.0},
        "ease": CLOSED,
        "slist": CLOSED | {"window": 5.0, "ahead": 1.0, "ahead_decay": 1.0},
        "content_knn": {"decay": 5.0},
    },
    blend="fusion", columns=(), cutoff=100, shortlist=150, half_life_days=(7.0, 30.0), buckets=16, encoder="base",
    moment="last_event",
)  # fmt: skip


def write(
    folder: Path, *, users: int, items: int, watched: int, width: int, seed: int = 0, without: tuple[str, ...] = ()
) -> str:
    """Write and seal; returns the digest. Items are taken by a power law. without: members that are left out."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    weight = 1.0 / (10.0 + np.arange(items))
    taken = rng.choice(items, (users, watched), p=weight / weight.sum())
    times = np.sort(START + rng.uniform(0, 90 * DAY, (users, watched)), axis=1)
    past = Histories.from_rows(zip(taken, times, strict=True))
    table = pa.table({
        "item_id": [f"i{n}" for n in range(items)],
        "title": [f"Story {n} of the {n % 997}" for n in range(items)],
        "genres": [[f"genre{n % 19}", f"genre{n % 7}"] for n in range(items)],
    })  # fmt: skip
    vectors = rng.normal(size=(items, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pq.write_table(table, folder / "items.parquet")
    pq.write_table(pa.table({"user_id": sorted(f"u{n:07d}" for n in range(users))}), folder / "users.parquet")
    write_histories(folder / "histories", past)
    write_histories(folder / "seen", past)
    np.save(folder / "vectors.npy", vectors, allow_pickle=False)
    members = {name: hyper for name, hyper in CHOICES.members.items() if name not in without}
    fit_engine(past, catalogue_of(table, vectors), CHOICES.model_copy(update={"members": members}), clock=True).save(
        folder
    )
    facts = {"clock": "time", "exclude_seen": True, "data_until": float(past.times.max()), "moment": "last_event"}
    return seal(folder, facts | {"name": "made up", "pseudonymised": False, "key_fingerprint": None})
