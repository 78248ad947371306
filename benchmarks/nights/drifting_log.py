"""A made-up log of a video platform whose users' taste drifts: what `python -m benchmarks.nights` replays.

    write(folder, users=2_000, items=1_000, days=45, seed=0)     # items.parquet, events.parquet, terms.txt

Planted, and drawn from one seeded generator:

- **Topics.** Each item has one of eight topics, told by its title, description and genre, and an appeal of its own.
- **Taste drifts.** A user's liking of each topic is a random walk over the days, pulled back to nothing: half of what a
  user liked on a day is forgotten `FORGOTTEN_DAYS` later. Beside it, each topic's fashion rises and falls for all users
  with a period of `FASHION_DAYS`, one topic after the other.
- **Items appear.** `OLD` of the items were there before the first day; the others come evenly through the days, at
  midnight, and are liked best when they are new (half of that is gone after `NEW_DAYS`).
- **Users come.** `KNOWN` of the users may come from the first day on, the others from a day drawn evenly. Some come
  nearly every day and most of them rarely.
- **A visit** has one to five events, `watch` with the watched share: large for what the user likes, small for what
  disappoints. Nobody takes an item twice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.models.mixed_world import GENRES, WORDS

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY_S = 86_400
OLD, KNOWN = 0.6, 0.7
FORGOTTEN_DAYS, FASHION_DAYS, NEW_DAYS = 12.0, 24.0, 3.0
TASTE, FASHION, NOVELTY, APPEAL = 1.6, 0.8, 1.5, 0.8
"""Scale of each part of an item's worth, beside a draw of scale 1 (Gumbel)."""
INDIFFERENT = 3.0
"""Worth of an item that is watched to the half."""
MOST_EVENTS = 5
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Catalogue:
    """topic: [n] of each item; comes: [n] day on which it appears, negative for old ones; appeal: [n]."""

    topic: Ints
    comes: Ints
    appeal: Floats


def write(folder: Path, *, users: int, items: int, days: int, seed: int = 0) -> None:
    """Write the log. The same arguments give the same rows.

    Args:
        folder: Made if missing.
        users: Number of users.
        items: Number of items.
        days: Days from START.
        seed: Of the generator.
    """
    rng = np.random.default_rng(seed)
    old = rng.random(items) < OLD
    catalogue = Catalogue(
        topic=rng.integers(0, len(GENRES), items),
        comes=np.where(old, -rng.integers(1, 300, items), rng.integers(0, days, items)),
        appeal=rng.normal(0, APPEAL, items),
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(_items(catalogue, rng), folder / "items.parquet")
    pq.write_table(_events(catalogue, users, days, rng), folder / "events.parquet")
    (folder / "terms.txt").write_text("made up by benchmarks/nights/drifting_log.py\n", "utf-8")


def fashion(day: int) -> Floats:
    """[topics] how much everybody likes each topic on a day."""
    phase = np.arange(len(GENRES)) / len(GENRES)
    return FASHION * np.sin(2 * np.pi * (day / FASHION_DAYS - phase))


def _items(catalogue: Catalogue, rng: np.random.Generator) -> pa.Table:
    rows = []
    for n, (topic, comes) in enumerate(zip(catalogue.topic.tolist(), catalogue.comes.tolist(), strict=True)):
        nouns = rng.permutation(WORDS["topics"][GENRES[topic]]["en"])[:3]
        slots = {**dict(zip("abc", nouns, strict=True)), "n": n, "year": 1990 + n % 35}
        parts = (WORDS["openings"]["en"]["video"], WORDS["middles"]["en"], WORDS["closings"]["en"])
        rows.append(
            {
                "item_id": f"v{n:04d}",
                "title": str(rng.choice(WORDS["titles"]["en"])).format(**slots),
                "description": " ".join(str(rng.choice(part)).format(**slots) for part in parts),
                "genres": [GENRES[topic]],
                "language": "en",
                "media_type": "video",
                "published_at": START + dt.timedelta(days=comes),
                "blocked": False,
            }
        )
    return pa.Table.from_pylist(rows)


def _events(catalogue: Catalogue, users: int, days: int, rng: np.random.Generator) -> pa.Table:
    """Visit by visit. The largest of worths with Gumbel noise is a draw by their exponentials."""
    arrives = np.where(rng.random(users) < KNOWN, 0, rng.integers(0, days, users))
    often = rng.beta(1.0, 3.0, users)
    taste = rng.normal(0, TASTE, (users, len(GENRES)))
    kept = 0.5 ** (1 / FORGOTTEN_DAYS)
    free = np.ones((users, len(catalogue.topic)), bool)
    found: list[pa.Table] = []
    for day in range(days):
        here = np.flatnonzero((arrives <= day) & (rng.random(users) < often))
        age = day - catalogue.comes
        worth = catalogue.appeal + NOVELTY * 0.5 ** (np.maximum(age, 0) / NEW_DAYS) + fashion(day)[catalogue.topic]
        worth = np.where(age < 0, -np.inf, worth)
        found.append(_visits(here, day, taste[here][:, catalogue.topic] + worth, free, rng))
        taste = kept * taste + np.sqrt(1 - kept**2) * rng.normal(0, TASTE, taste.shape)
    return pa.concat_tables(found).sort_by("timestamp")


def _visits(here: Ints, day: int, worth: Floats, free: npt.NDArray[np.bool_], rng: np.random.Generator) -> pa.Table:
    """One day's events. here: [n] users who come; worth: [n, items] to each of them; free: [users, items] not taken
    yet, changed."""
    lengths = rng.integers(1, MOST_EVENTS + 1, len(here))
    begins = rng.uniform(0, 0.95, len(here))
    rows: list[tuple[str, str, int, float]] = []
    for turn in range(MOST_EVENTS):
        visiting = np.flatnonzero(lengths > turn)
        drawn = np.where(free[here[visiting]], worth[visiting], -np.inf) + rng.gumbel(
            size=(len(visiting), free.shape[1])
        )
        chosen = drawn.argmax(axis=1)
        free[here[visiting], chosen] = False
        liked = 1 / (1 + np.exp(INDIFFERENT - worth[visiting, chosen] + rng.normal(0, 1, len(visiting))))
        seconds = START.timestamp() + DAY_S * day + begins[visiting] * DAY_S + turn * 600
        rows += zip(
            (f"u{user:05d}" for user in here[visiting].tolist()), (f"v{item:04d}" for item in chosen.tolist()),
            seconds.astype(np.int64).tolist(), np.round(liked, 3).tolist(), strict=True,
        )  # fmt: skip
    users, items, seconds_of, shares = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "timestamp": pa.array(seconds_of, pa.int64()).cast(pa.timestamp("s", "UTC")),
            "event": pa.array(["watch"] * len(users), pa.string()),
            "value": pa.array(shares, pa.float64()),
        }
    )
