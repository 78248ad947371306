"""Small real bundles for tests: two planted tastes, the real engine, sealed."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.assembly import write_histories
from nightreel.bundle.clock import tonight
from nightreel.bundle.format import seal
from nightreel.data.contract.schema import MOMENT
from nightreel.data.contract.verdicts import code_of
from nightreel.data.histories import Histories
from nightreel.data.privacy import key_fingerprint, pseudonym
from nightreel.models.catalogue import catalogue_of
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, Blend
from nightreel.models.ranker.item_statistics import ItemStatistics
from nightreel.models.registry import spec
from nightreel.models.training.fit import fit_member

DAY = 86_400.0
UNTIL = 1_700_000_000.0
HYPER: dict[str, dict[str, float]] = {
    "popularity": {"half_life_days": 30, "buckets": 8},
    "ease": {"regularization": 10, "decay": 10, "top_weights": 64, "max_items": 1000},
    "content_knn": {"decay": 10},
}


def taste(item: int) -> int:
    """Which of two tastes an item belongs to; users likewise, by their number."""
    return item % 2


def write_bundle(
    folder: Path,
    *,
    users: int = 40,
    items: int = 30,
    watched: int = 8,
    seed: int = 0,
    blocked: tuple[int, ...] = (),
    expires: dict[int, float] | None = None,
    published: dict[int, float] | None = None,
    key: bytes | None = None,
    members: dict[str, dict[str, float]] | None = None,
    **config: Any,
) -> str:
    """Write and seal a bundle; returns its digest. User u<n> watched items of taste n % 2; the last two items have
    no events at all. `expires`, `published`: item → epoch seconds; `key`: users are pseudonyms under it; `members`: with
    their settings, HYPER unless given."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    settings = {"name": "test", "clock": "time", "exclude_seen": True, "data_until": UNTIL}
    settings |= {"pseudonymised": key is not None, "key_fingerprint": key_fingerprint(key) if key else None, **config}
    settings = {"moment": tonight(settings["clock"]), **settings}
    pq.write_table(_items(items, blocked, expires or {}, published or {}), folder / "items.parquet")
    names = [f"u{n:03d}" for n in range(users)]
    ids = [pseudonym(key, name) if key else name for name in names]
    pq.write_table(pa.table({"user_id": sorted(ids)}), folder / "users.parquet")
    histories = _histories(rng, users, items, watched, settings["clock"] == "time").take(np.argsort(ids))
    plays = replace(histories, verdicts=np.full(len(histories.items), code_of("play"), np.int8))
    write_histories(folder / "histories", plays)
    write_histories(folder / "seen", histories)
    vectors = np.eye(2, 16, dtype=np.float32)[[taste(i) for i in range(items)]] + rng.normal(0, 0.1, (items, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    np.save(folder / "vectors.npy", vectors)
    _engine(histories, folder, vectors, settings["clock"] == "time", members or HYPER).save(folder)
    return seal(folder, settings)


def _items(n: int, blocked: tuple[int, ...], expires: dict[int, float], published: dict[int, float]) -> pa.Table:
    moments = [dt.datetime.fromtimestamp(expires[i], dt.UTC) if i in expires else None for i in range(n)]
    since = [dt.datetime(2020, 1, 1 + i % 28, tzinfo=dt.UTC) for i in range(n)]
    since = [dt.datetime.fromtimestamp(published[i], dt.UTC) if i in published else at for i, at in enumerate(since)]
    return pa.table(
        {
            "item_id": [f"i{i:03d}" for i in range(n)],
            "title": [f"{'Space' if taste(i) else 'Love'} story {i}" for i in range(n)],
            "genres": [["Sci-Fi"] if taste(i) else ["Romance", "Drama"] for i in range(n)],
            "blocked": [i in blocked for i in range(n)],
            "published_at": pa.array(since, MOMENT),
            "expires_at": pa.array(moments, MOMENT),
        }
    )


def _histories(rng: np.random.Generator, users: int, items: int, watched: int, clock: bool) -> Histories:
    rows = []
    for user in range(users):
        own = [i for i in range(items - 2) if taste(i) == user % 2]
        picked = rng.choice(own, watched, replace=False).tolist()
        last = UNTIL - float(rng.integers(0, 20)) * DAY if user else UNTIL
        rows.append((picked, [last - DAY * (watched - 1 - j) if clock else float(j) for j in range(watched)]))
    return Histories.from_rows(rows)


def _engine(
    histories: Histories, folder: Path, vectors: np.ndarray, clock: bool, hyper: dict[str, dict[str, float]]
) -> Engine:
    catalogue = catalogue_of(pq.read_table(folder / "items.parquet"), vectors)
    members = {
        name: fit_member(name, histories, catalogue, spec(name).config.model_validate(own), clock=clock)
        for name, own in hyper.items()
    }
    statistics = ItemStatistics.fit(histories, catalogue, [7, float("inf")], 8, clock)
    return Engine(members, statistics, catalogue, Blend(FUSION, (), ""), cutoff=20, shortlist=60, now=UNTIL + 1)


def lineage(recipe: str) -> dict[str, Any]:
    """What the publish stage records beside a version."""
    return {"recipe": recipe, "published_at": "2026-11-22T01:00:00+00:00", "label": "better"}


def reseal(folder: Path) -> str:
    """Seal a bundle anew after a file in it was changed on purpose."""
    return seal(folder, json.loads((folder / "config.json").read_text()))
