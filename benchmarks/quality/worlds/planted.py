"""Planted items, and the made-up people who should get them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PLANTED, LEAST_ITEMS, FANS, REMOVED, POPULAR = 12, 4, 20, 100, 200
RECORD = "planted.json"


@dataclass(frozen=True)
class Planted:
    """A planted item. name: of its series or artist; told: the column that tells so; items: number of items of the
    series; fans: histories of ids, which it fits."""

    item: str
    name: str
    told: str
    items: int
    fans: list[list[str]]


def fans(rng: np.random.Generator, own: Sequence[str], popular: Sequence[str]) -> list[list[str]]:
    """FANS histories: three to five items of a series and two popular ones, in any order."""
    return [_fan(rng, own, popular) for _ in range(FANS)]


def _fan(rng: np.random.Generator, own: Sequence[str], popular: Sequence[str]) -> list[str]:
    some = rng.choice(own, min(len(own), int(rng.integers(3, 6))), replace=False)
    return [str(item) for item in rng.permutation(np.concatenate([some, rng.choice(popular, 2, replace=False)]))]


def counts_of(items: Sequence[str], log: pa.Table) -> list[int]:
    """Number of events of each item."""
    counted = {str(row["values"]): int(row["counts"]) for row in pc.value_counts(log["item_id"]).to_pylist()}
    return [counted.get(item, 0) for item in items]


def most_used(items: Sequence[str], counts: Sequence[int], without: set[str]) -> list[str]:
    """The POPULAR items with the most events, less those of `without`."""
    first = np.argsort(-np.array(counts), kind="stable")[:POPULAR].tolist()
    return [items[at] for at in first if items[at] not in without]


def write(
    folder: Path, items: pa.Table, log: pa.Table, planted: Sequence[Planted], kept: set[str], rng: np.random.Generator
) -> None:
    """Write the catalogue and the log, in which REMOVED other items have lost their events; and beside the folder, what
    was planted. kept: ids that lose none."""
    ids = [str(each) for each in items["item_id"].to_pylist()]
    others = [item for item in ids if item not in kept and item not in {each.item for each in planted}]
    gone = pa.array(sorted(rng.choice(others, REMOVED, replace=False).tolist()), pa.string())
    without = log.filter(pc.invert(pc.is_in(log["item_id"].cast(pa.string()), gone)))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(items, folder / "items.parquet")
    pq.write_table(without, folder / "events.parquet")
    (folder.parent / RECORD).write_text(json.dumps([vars(each) for each in planted], ensure_ascii=False), "utf-8")


def read(place: Path) -> list[Planted]:
    """What `write` left beside its folder."""
    return [Planted(**each) for each in json.loads((place / RECORD).read_text("utf-8"))]
