"""A made-up world: series (or artists) of items in genres, and people who take them over eight weeks.

Behaviour: a person likes two genres and loves four to eight series of them. Six of ten choices are items of a loved
series, three of a liked genre, one of all; among these, an item is taken by its fame, which halves every four weeks
from its day on. So who took what says much, and what is popular changes. In a world in which people come back, a
quarter of the events repeats one of their earlier choices.

To it are added PLANTED items without events, each of another series and told by one column, and FANS made-up histories
for each; REMOVED items of other series lose their events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.quality.worlds.planted import LEAST_ITEMS, PLANTED, Planted, counts_of, fans, most_used, write

BEGIN, DAY, DAYS = 1_780_272_000, 86_400, 56  # 2026-06-01
USERS, EVENTS, FADES = 1_500, 32, 28.0
LOVED, LIKED = 0.6, 0.9  # a choice below the first is of a loved series, below the second of a liked genre
BACK = 0.25
Row = dict[str, Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """What a world is made of.

    Attributes:
        rows: Of the items table.
        series: Series of each item.
        genre: Genre of each item.
        names: Of the series.
        new: Series → a new item of it, and the column that tells so.
        again: Whether people come back to what they took.
    """

    rows: list[Row]
    series: Ints
    genre: Ints
    names: Sequence[str]
    new: dict[int, tuple[Row, str]]
    again: bool


def plant(world: World, folder: Path, seed: int = 0) -> None:
    """Write the world with its planted items to `folder`."""
    rng = np.random.default_rng(seed)
    log = pa.Table.from_pylist(list(_events(world, rng)))
    ids = [row["item_id"] for row in world.rows]
    of_series = {number: [ids[at] for at in np.flatnonzero(world.series == number)] for number in world.new}
    told = {item for own in of_series.values() for item in own}
    popular = most_used(ids, counts_of(ids, log), told)
    planted = [
        Planted(row["item_id"], world.names[number], column, len(of_series[number]),
                fans(rng, of_series[number], popular))
        for number, (row, column) in world.new.items()
    ]  # fmt: skip
    rows = [*world.rows, *(row for row, _ in world.new.values())]
    write(folder, pa.Table.from_pylist(rows), log, planted, told, rng)


def spread(rng: np.random.Generator, series: Ints) -> list[int]:
    """PLANTED series, drawn from those with LEAST_ITEMS or more."""
    return sorted(rng.choice(np.flatnonzero(np.bincount(series) >= LEAST_ITEMS), PLANTED, replace=False).tolist())


def _events(world: World, rng: np.random.Generator) -> Iterator[Row]:
    """The log, one person after another."""
    n = len(world.rows)
    fame = np.exp(rng.normal(0, 0.8, int(world.series.max()) + 1)[world.series] + rng.normal(0, 0.8, n))
    born = rng.uniform(-2.0 * DAYS, 0.8 * DAYS, n)
    genres = int(world.genre.max()) + 1
    for user in range(USERS):
        liked = np.isin(world.genre, rng.choice(genres, 2, replace=False))
        loved = np.isin(
            world.series, rng.choice(np.unique(world.series[liked]), int(rng.integers(4, 9)), replace=False)
        )
        taken: list[int] = []
        for day in np.sort(rng.uniform(0, DAYS, int(rng.integers(EVENTS // 2, 3 * EVENTS // 2)))).tolist():
            if world.again and taken and rng.random() < BACK:
                item = int(rng.choice(taken))
            else:
                draw = rng.random()
                open_to = loved if draw < LOVED else liked if draw < LIKED else np.ones(n, bool)
                odds = fame * 0.5 ** ((day - born) / FADES) * (open_to & (born <= day))
                odds[taken] = 0.0
                if not odds.any():
                    continue
                item = int(rng.choice(n, p=odds / odds.sum()))
                taken.append(item)
            row = world.rows[item]
            yield {
                "user_id": f"u{user}",
                "item_id": row["item_id"],
                "timestamp": BEGIN + int(day * DAY),
                "event": "play",
            }
