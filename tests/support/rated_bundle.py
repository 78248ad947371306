"""A small real bundle of users who rate: films of their own taste high, many others low, some in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.assembly import assemble, known_events
from nightreel.bundle.clock import tonight
from nightreel.data.dataset import load_dataset
from nightreel.models.catalogue import catalogue_of
from nightreel.models.training.fit import fit_engine
from tests.support import planted
from tests.support.datasets import Planted, items_table, prepare, write_dataset

AGES = (0, 6, 12, 18)


@dataclass(frozen=True)
class Rated:
    """The bundle, and what each user said of each item last: 0 for a dislike, else the rating."""

    folder: Path
    said: dict[tuple[str, str], float]


def write_rated(folder: Path, users: int = 60, items: int = 60) -> Rated:
    """Write a source, prepare it, train plain models and seal the bundle. Every tenth item that was rated high is
    disliked at the end."""
    source = write_dataset(folder / "source", users=users, items=items, events=20 * users, noise=0.4, event="rating")
    rng = np.random.default_rng(4)
    rated = [(user, item, _rating(source, user, item, rng), time) for user, item, time in source.rows]
    loved, end = [row for row in rated if row[2] >= 4], max(row[3] for row in rated)
    disliked = [(user, item, 0.0, end + at) for at, (user, item, *_) in enumerate(loved[::10])]
    said = {(user, item): value for user, item, value, _ in (*rated, *disliked)}
    rows = [
        (user, item, time, "rating" if value else "dislike", value or None)
        for user, item, value, time in (*rated, *disliked)
    ]
    columns = list(zip(*rows, strict=True))
    times = pa.array(columns[2], pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp("us", "UTC"))
    names = ("user_id", "item_id", "timestamp", "event", "value")
    pq.write_table(
        pa.table(dict(zip(names, [*columns[:2], times, *columns[3:]], strict=True))), folder / "source/events.parquet"
    )
    table = items_table(source.item_ids).append_column("min_age", pa.array([AGES[n // 2 % 4] for n in range(items)]))
    pq.write_table(table, folder / "source/items.parquet")
    data = load_dataset(prepare(folder / "run", source.folder) / "data/validate")
    known = known_events(data, None)
    vectors = np.eye(2, 16)[[source.item_group[item] for item in data.item_ids]] + 0.2 * rng.normal(size=(items, 16))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    engine = fit_engine(known[0], catalogue_of(data.items, unit), planted.choices(), clock=True)
    facts = {"name": "rated", "pseudonymised": False, "key_fingerprint": None, "moment": tonight("time")}
    assemble(folder / "bundle", data, engine, known, unit, facts)
    return Rated(folder / "bundle", said)


def _rating(source: Planted, user: str, item: str, rng: np.random.Generator) -> float:
    own = source.user_group[user] == source.item_group[item]
    return float(rng.choice([5, 4, 3, 2] if own else [1, 1, 2, 4]))
