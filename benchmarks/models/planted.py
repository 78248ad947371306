"""Synthetic data sets of any size with planted tastes, order and trends, where no public data set can be shipped.

    write(folder, users=50_000, items=20_000, events=310_000, seed=0)

Every item has a genre (Zipf over 24), a popularity (Zipf over items) and four successors in its genre; every user likes
three genres and has a history of log-normal length. The next event is a successor of the last item with probability
0.35, else an item of a liked genre, by popularity. No item occurs twice for a user. Timestamps are positions (`clock`
order) or epoch seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

GENRES, LIKED, SUCCESSORS, FOLLOW, DAY, START = 24, 3, 4, 0.35, 86_400, 1_700_000_000
OVERSHOOT = 1.6  # steps beyond the events asked for, as repeated items are dropped
Ints = npt.NDArray[np.int64]


def write(folder: Path, *, users: int, items: int, events: int, clock: bool = False, seed: int = 0) -> None:
    """items.parquet and events.parquet in `folder`, with about `events` rows; the same arguments, the same rows."""
    rng = np.random.default_rng(seed)
    genre = np.minimum(rng.zipf(1.3, items) - 1, GENRES - 1)
    user, item, step = _steps(rng, genre, users, events)
    first = np.unique(user * items + item, return_index=True)[1]
    user, item, step = user[first], item[first], step[first]
    order = np.lexsort((step, user))
    user, item = user[order], item[order]
    place = np.arange(len(user)) - np.searchsorted(user, user)
    share = min(1.0, events / len(user))
    kept = place < np.ceil(np.bincount(user, minlength=users) * share)[user]
    user, item, place = user[kept], item[kept], place[kept]
    joined = rng.integers(0, 300, users)
    moment = START + (joined[user] * DAY + place * 4 * 3600 + rng.integers(0, 3600, len(user)) if clock else 0)
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = {
        "item_id": [f"i{n:06d}" for n in range(items)],
        "title": [f"{_word(int(g))} {_word(100 + n % 997)} {_word(2000 + n)}" for n, g in enumerate(genre)],
        "genres": [[f"genre {g}"] for g in genre],
    }
    log = {
        "user_id": np.char.add("u", user.astype(str)),
        "item_id": [f"i{n:06d}" for n in item],
        "timestamp": moment if clock else place,
        "event": ["play"] * len(user),
    }
    pq.write_table(pa.table(catalogue), folder / "items.parquet")
    pq.write_table(pa.table(log), folder / "events.parquet")


def _steps(rng: np.random.Generator, genre: Ints, users: int, events: int) -> tuple[Ints, Ints, Ints]:
    """User, item and step of each event; all users walk at once, shorter histories stop earlier."""
    lengths = rng.lognormal(0, 0.8, users)
    lengths = np.maximum(5, lengths * events * OVERSHOOT / lengths.sum()).astype(np.int64)
    appeal = 1.0 / (10 + rng.permutation(len(genre))) ** 0.9
    pools = [np.flatnonzero(genre == g) for g in range(GENRES)]
    sums = [np.cumsum(appeal[pool]) for pool in pools]
    weight = np.array([s[-1] if len(s) else 0.0 for s in sums])
    liked = rng.choice(GENRES, (users, LIKED), p=weight / weight.sum())
    after = np.stack([_drawn(rng, pools, sums, genre) for _ in range(SUCCESSORS)], axis=1)
    last = np.full(users, -1)
    found = []
    for step in range(int(lengths.max())):
        active = np.flatnonzero(lengths > step)
        tastes = liked[active, rng.integers(0, LIKED, len(active))]
        chosen = _drawn(rng, pools, sums, tastes)
        follows = (rng.random(len(active)) < FOLLOW) & (last[active] >= 0)
        chosen[follows] = after[last[active][follows], rng.integers(0, SUCCESSORS, follows.sum())]
        last[active] = chosen
        found.append((active, chosen, np.full(len(active), step)))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def _drawn(rng: np.random.Generator, pools: list[Ints], sums: list[npt.NDArray[np.float64]], wanted: Ints) -> Ints:
    """An item of each wanted genre, by appeal."""
    chosen = np.empty(len(wanted), np.int64)
    for g in np.unique(wanted):
        at = np.flatnonzero(wanted == g)
        chosen[at] = pools[g][np.searchsorted(sums[g], rng.random(len(at)) * sums[g][-1])]
    return chosen


def _word(n: int) -> str:
    """A made-up word that belongs to a number."""
    syllables = ("ba", "ko", "mi", "ru", "ta", "ne", "so", "li", "va", "du")
    return "".join(syllables[int(digit)] for digit in str(n)).capitalize()
