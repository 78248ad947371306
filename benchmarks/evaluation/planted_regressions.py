"""Synthetic users, models of which two trainings differ by their seed, and regressions to plant in the lists of one.

Each user has one wanted item in a catalogue of 20,011, ten seen items, and attributes that define the slices. A model
puts the wanted item at rank floor(exp(3.63 + 1.9·t)) of the user's list, where t is standard normal: it is in the top
ten of about one user in four, with an NDCG@10 of about 0.13, as on MovieLens. Two trainings share the user's part of t:
their t correlate by `agreement`. The other positions of a list have items of the user's own, none of them seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import Histories, ItemArray
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.segments.slices import Slice, values
from nightreel.evaluation.test_set import TestSet

ITEMS = 20_011  # a prime: the steps below then meet an item once
MEDIAN, SPREAD, K = 3.63, 1.9, 10
DAY, NOW = 86_400.0, 1_700_000_000.0
LANGUAGES = (("en", 0.5), ("es", 0.2), ("de", 0.12), ("pt", 0.1), ("fr", 0.08))
OTHERS = {"device": 4, "region": 6, "activity": 3, "user since": 3}
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """n users. own: [n, 30] items of each: 0–9 fill the list, 10 is wanted, 20–29 are seen; difficulty: [n] the user's
    part of t; language: [n]."""

    own: ItemArray
    difficulty: Floats
    language: npt.NDArray[np.str_]
    slices: list[Slice]
    trial: TestSet

    def __len__(self) -> int:
        return len(self.own)


def world(n: int, rng: np.random.Generator) -> World:
    """n users, drawn anew."""
    start, step = rng.integers(0, ITEMS, n), rng.integers(1, ITEMS, n)
    own = ((start[:, None] + step[:, None] * np.arange(30)) % ITEMS).astype(np.int32)
    language = rng.choice([name for name, _ in LANGUAGES], n, p=[share for _, share in LANGUAGES])
    told = values("language", [[each] for each in language.tolist()])
    for by, parts in OTHERS.items():
        told += values(by, [[f"{by} {part}"] for part in rng.integers(0, parts, n).tolist()])
    indptr = np.arange(n + 1, dtype=np.int64) * 10
    seen = Histories(indptr, own[:, 20:].ravel(), np.tile(np.arange(10.0), n))
    truth = Truth(np.arange(n, dtype=np.int64) * ITEMS + own[:, 10], np.ones(n, np.int64), ITEMS)
    trial = TestSet("fold", np.arange(n, dtype=np.int64), seen, seen, np.full(n, NOW), truth, np.zeros(ITEMS), 0)
    return World(own, rng.normal(size=n), language, told, trial)


def ranks(asked: World, agreement: float, rng: np.random.Generator, worse: float = 0.0) -> Ints:
    """[n] the rank from 0 at which a training of the model puts each wanted item; worse: added to every t."""
    t = np.sqrt(agreement) * asked.difficulty + np.sqrt(1 - agreement) * rng.normal(size=len(asked)) + worse
    return np.asarray(np.floor(np.exp(np.minimum(MEDIAN + SPREAD * t, 20))), np.int64)


def lists(asked: World, rank: Ints) -> ItemArray:
    """[n, 10]: the wanted item at its rank, the user's own items in all other places."""
    place, at = np.arange(K), rank[:, None]
    moved = np.take_along_axis(
        asked.own, np.where(place > at, place - 1, np.broadcast_to(place, (len(rank), K))), axis=1
    )
    return np.where(place == at, asked.own[:, 10:11], moved).astype(np.int32)


@dataclass(frozen=True)
class Night:
    """What a challenger brings: its lists, which of them have finite scores, and how late its data end."""

    lists: ItemArray
    sound: npt.NDArray[np.bool_]
    data_until: float


Plant = Callable[[World, Ints, Night, np.random.Generator], Night]
"""(world, ranks of the sound challenger, its night, generator) → the night with the regression."""


def loss(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """5% of the hits are lost."""
    return replace(night, lists=lists(asked, np.where(rng.random(len(rank)) < 0.05, K, rank)))


def broken_slice(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """A fifth of the hits in one language are lost, and as many won elsewhere, at ranks of the hits there are."""
    inside, hit = asked.language == "pt", rank < K
    lost = inside & hit & (rng.random(len(rank)) < 0.2)
    free, known = np.flatnonzero(~inside & ~hit), rank[hit]
    won = rng.choice(free, min(int(lost.sum()), len(free)), replace=False)
    changed = np.where(lost, K, rank)
    changed[won] = rng.choice(known, len(won)) if len(known) else K
    return replace(night, lists=lists(asked, changed))


def collapse(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """All places but the hit hold the same items, where the user has not seen them."""
    popular = np.broadcast_to(np.arange(K, dtype=np.int32), night.lists.shape)
    taken = (popular[:, :, None] == asked.own[:, None, :]).any(axis=2)
    kept = (np.arange(K) == rank[:, None]) | taken
    return replace(night, lists=np.where(kept, night.lists, popular))


def leak(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """One list of a hundred ends with a seen item."""
    changed = night.lists.copy()
    rows = rng.choice(len(rank), max(len(rank) // 100, 1), replace=False)
    changed[rows, K - 1] = asked.own[rows, 20]
    return replace(night, lists=changed)


def no_numbers(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """One list of a thousand has a score that is no number."""
    sound = night.sound.copy()
    sound[rng.choice(len(rank), max(len(rank) // 1000, 1), replace=False)] = False
    return replace(night, sound=sound)


def stale(asked: World, rank: Ints, night: Night, rng: np.random.Generator) -> Night:
    """The data end three days before the champion's."""
    return replace(night, data_until=NOW - 3 * DAY)


PLANTS: dict[str, Plant] = {
    "A/A": lambda asked, rank, night, rng: night, "5% loss": loss, "broken slice": broken_slice,
    "popularity collapse": collapse, "leaked seen items": leak, "NaN scores": no_numbers, "stale data": stale,
}  # fmt: skip
