"""A small planted data set for tests, in the table contract: two groups of users, each with a taste and an order.

    planted = write_dataset(tmp_path / "source")                       # items.parquet, events.parquet
    planted = write_dataset(folder, users=200, items=120, clock="order", seed=3, media_type="music", repeats=True)

What a test may rely on:
- user and item *u* belong to group `index % 2`; a user takes `1 - noise` of their items from their own group;
- each group watches its items in a ring: after item i its `successor[i]` comes next with probability `follow`;
- genres, title words and descriptions tell the group, so content models can recover it;
- the last `cold` items of each group have no events (a content model alone can reach them);
- the same arguments give the same rows.

`prepare(folder, source)` runs snapshot and validate over a source, as a run does:

    workspace = prepare(tmp_path / "run", planted.folder, {"validate.gate_users": 10})
    dataset = load_dataset(workspace / "data/validate")
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import operator
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nightreel.settings import yaml_values

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
REPOSITORY = Path(__file__).resolve().parents[2]

WORDS = (
    ("rocket", "robot", "galaxy", "laser", "android", "orbit", "planet", "starship", "alien", "cosmos"),
    ("wedding", "kiss", "letter", "summer", "bakery", "garden", "promise", "dance", "violin", "heart"),
)
GENRES = (("Sci-Fi", "Action"), ("Romance", "Drama"))
TEXTS = (
    "A crew of explorers fights machines at the edge of the galaxy.",
    "Two strangers fall in love during a quiet summer by the sea.",
)
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Planted:
    """What was planted: ids, groups, the next item of each item, and the items without events."""

    folder: Path
    user_ids: list[str]
    item_ids: list[str]
    user_group: dict[str, int]
    item_group: dict[str, int]
    successor: dict[str, str]
    cold_items: list[str]
    rows: list[tuple[str, str, int]]
    """(user_id, item_id, timestamp) in file order; timestamp is in epoch seconds or a position from 0."""


def write_dataset(
    folder: Path,
    *,
    users: int = 60,
    items: int = 80,
    events: int = 1440,
    clock: Literal["time", "order"] = "time",
    noise: float = 0.1,
    follow: float = 0.6,
    cold: int = 2,
    days: int = 60,
    event: str = "play",
    media_type: str = "video",
    repeats: bool = False,
    seed: int = 0,
) -> Planted:
    """Write items.parquet and events.parquet into `folder` (made if missing).

    events: in all, about; each user has `events // users`, fewer where the catalogue runs out and `repeats` is off.
    days: length of the clock; users start at random and their events are spread over what is left.
    """
    user_ids, item_ids = _ids("u", users), _ids("i", items)
    ring = [_ring(items, group, cold) for group in (0, 1)]
    rows = [*_rows(users, items, events, clock, noise, follow, cold, days, repeats, seed)]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(items_table(item_ids, media_type), folder / "items.parquet")
    pq.write_table(events_table(rows, clock, event), folder / "events.parquet")
    return Planted(
        folder, user_ids, item_ids,
        {user: n % 2 for n, user in enumerate(user_ids)}, {item: n % 2 for n, item in enumerate(item_ids)},
        {item_ids[a]: item_ids[b] for r in ring for a, b in zip(r, [*r[1:], r[0]], strict=True)},
        [item_ids[i] for i in range(items) if i not in ring[0] and i not in ring[1]], rows,
    )  # fmt: skip


def _ids(letter: str, number: int) -> list[str]:
    return [f"{letter}{n:03d}" for n in range(number)]


@functools.cache
def _rows(
    users: int,
    items: int,
    events: int,
    clock: str,
    noise: float,
    follow: float,
    cold: int,
    days: int,
    repeats: bool,
    seed: int,
) -> tuple[tuple[str, str, int], ...]:
    """The events; kept, because most tests ask for the same ones."""
    rng = np.random.default_rng(seed)
    ring = [_ring(items, group, cold) for group in (0, 1)]
    item_ids, rows = _ids("i", items), list[tuple[str, str, int]]()
    for n, user in enumerate(_ids("u", users)):
        path = _walk(rng, ring[n % 2], ring[1 - n % 2], events // users, noise, follow, repeats)
        stamps = _stamps(rng, len(path), days) if clock == "time" else range(len(path))
        rows += [(user, item_ids[i], int(t)) for i, t in zip(path, stamps, strict=True)]
    return tuple(sorted(rows, key=lambda row: row[2]) if clock == "time" else rows)


def _ring(items: int, group: int, cold: int) -> list[int]:
    own = list(range(group, items, 2))
    return own[: len(own) - cold]


def _walk(
    rng: np.random.Generator, own: list[int], other: list[int], steps: int, noise: float, follow: float, repeats: bool
) -> list[int]:
    """Items in the order in which a user meets them: mostly own group, often the next in the ring, popular first."""
    taken: list[int] = []
    last = -1
    for _ in range(steps):
        pool = other if rng.random() < noise else own
        after = own[(own.index(last) + 1) % len(own)] if last in own else -1
        if pool is own and after >= 0 and rng.random() < follow and (repeats or after not in taken):
            last = after
        else:
            free = [i for i in pool if repeats or i not in taken]
            if not free:
                continue
            weight = 1.0 / (1.0 + np.array([pool.index(i) for i in free]))
            last = int(rng.choice(free, p=weight / weight.sum()))
        taken.append(last)
    return taken


def _stamps(rng: np.random.Generator, n: int, days: int) -> list[int]:
    """n ascending epoch seconds between a random start and the end of the clock."""
    begin = rng.uniform(0, 0.7)
    share = np.sort(rng.uniform(begin, 1.0, n))
    return [int(START.timestamp() + s * days * 86_400) for s in share]


def items_table(item_ids: list[str], media_type: str = "video") -> pa.Table:
    """The catalogue: item n is of group n % 2, and its texts say so."""
    group = [n % 2 for n in range(len(item_ids))]
    word = [(WORDS[g][n // 2 % 10], WORDS[g][(n // 2 * 3 + 1) % 10]) for n, g in enumerate(group)]
    return pa.table({
        "item_id": pa.array(item_ids, pa.string()),
        "title": [f"The {a} and the {b} {n}" for n, (a, b) in enumerate(word)],
        "description": [f"{TEXTS[g]} With a {a} and a {b}." for g, (a, b) in zip(group, word, strict=True)],
        "tags": pa.array([list(pair) for pair in word], pa.list_(pa.string())),
        "genres": pa.array([list(GENRES[g]) for g in group], pa.list_(pa.string())),
        "language": ["en"] * len(item_ids),
        "media_type": [media_type] * len(item_ids),
        "duration_s": [60.0 * (5 + n % 90) for n in range(len(item_ids))],
        "published_at": pa.array(
            [START - dt.timedelta(days=30 * (n % 36) + 1) for n in range(len(item_ids))], pa.timestamp("us", "UTC")
        ),
    })  # fmt: skip


def events_table(rows: list[tuple[str, str, int]], clock: str = "time", event: str = "play") -> pa.Table:
    """Events of (user_id, item_id, epoch second or position)."""
    stamp = pa.array([t for _, _, t in rows], pa.int64())
    if clock == "time":
        stamp = stamp.cast(pa.timestamp("s")).cast(pa.timestamp("us", "UTC"))
    value = {"watch": 0.9, "rating": 4.0}.get(event)
    return pa.table({
        "user_id": pa.array([u for u, _, _ in rows], pa.string()),
        "item_id": pa.array([i for _, i, _ in rows], pa.string()),
        "timestamp": stamp,
        "event": [event] * len(rows),
        "value": pa.array([value] * len(rows), pa.float64()),
    })  # fmt: skip


def write_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """The repository's params.yaml with some `section.key` changed, and an empty dependency lock beside it."""
    values = yaml_values.read((REPOSITORY / "params.yaml").read_text("utf-8"))
    for name, value in changes.items():
        *sections, key = name.split(".")
        functools.reduce(operator.getitem, sections, values)[key] = value
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.dump(values, Dumper=DUMPER, sort_keys=False), "utf-8")
    (folder / "requirements.lock").touch()


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """Inside: the working directory is `folder`, the state directory `folder/state`, the store a part of that."""
    names = ("NIGHTREEL_STATE", "NIGHTREEL_STORE", "NIGHTREEL_PSEUDONYM_KEY")
    kept = {name: os.environ.pop(name, None) for name in names}
    os.environ["NIGHTREEL_STATE"] = str(folder.resolve() / "state")
    try:
        with contextlib.chdir(folder):
            yield folder
    finally:
        os.environ.pop("NIGHTREEL_STATE")
        os.environ.update({name: value for name, value in kept.items() if value is not None})


def prepare(folder: Path, source: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """A workspace in `folder` after snapshot and validate over `source`, users left as they are unless changed."""
    from tasks import snapshot, validate

    write_params(folder, {"snapshot.source": str(source), "snapshot.pseudonymise": "off", **(changes or {})})
    with workspace(folder):
        snapshot.main()
        validate.main()
    return folder


def understand_nothing(folder: Path) -> None:
    """What understand writes where no item tells anything."""
    from nightreel.understanding.schema import Understood

    items = pq.read_table(folder / "data/validate/items.parquet", columns=["item_id"])["item_id"].to_pylist()
    (folder / "data/understand").mkdir(parents=True, exist_ok=True)
    Understood(items).write(folder / "data/understand")
