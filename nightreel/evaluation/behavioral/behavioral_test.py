"""Behavioural tests of the candidate, asked as a service asks it: not how often it is right, but if it makes sense.

In the manner of RecList (Chia et al. 2022, doi:10.1145/3487553.3524215). Deterministic: made-up histories, and users
evenly apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.evaluation.metrics.overlap import overlap
from nightreel.evaluation.test_set import Ranker, TestSet, ask

K = 10
ASKED = 200  # users whose lists are compared
GENRES, LIKED = 8, 5  # genres that have a fan, items that a fan took to
LEAST_EVENTS = 5  # of a history in which one event more or less should not matter


@dataclass(frozen=True)
class BehavioralTest:
    """What was tried, and what came of it. figure: None where it can't be tried; bound: the least figure that passes,
    None where it is only told; cases: lists behind it."""

    name: str
    figure: float | None
    bound: float | None
    cases: int
    text: str

    @property
    def failed(self) -> bool:
        return self.figure is not None and self.bound is not None and self.figure < self.bound


def behavioral_tests(
    trial: TestSet, ranker: Ranker, model: str, genres: Sequence[Sequence[str] | None], *, steady: float
) -> list[BehavioralTest]:
    """The tests on a trial's users. genres: of each item; steady: least overlap after one irrelevant event."""
    some = spread(trial)
    return [
        _fans(trial, ranker, model, genres),
        _steady(some, ranker, model, genres, steady),
        _ties(some, ranker, model),
    ]


def spread(trial: TestSet) -> TestSet:
    """At most ASKED of the trial's rows, evenly apart."""
    return trial.take(np.unique(np.linspace(0, max(len(trial) - 1, 0), min(ASKED, len(trial))).astype(np.int64)))


def overlap_with_last_night(before: ItemArray | None, now: ItemArray) -> BehavioralTest:
    """How much of the champion's first ten [n, 10] stays. Only told: what is new may be better."""
    name = "lists from night to night"
    if before is None or not len(before):
        return BehavioralTest(name, None, None, 0, "there are no lists of a champion for the same users")
    figure = float(overlap(before, now).mean())
    text = f"{figure:.0%} of the champion's first ten stay, mean of {len(now):,} lists"
    return BehavioralTest(name, figure, None, len(now), text)


def _fans(trial: TestSet, ranker: Ranker, model: str, genres: Sequence[Sequence[str] | None]) -> BehavioralTest:
    """Who took to items of one genre gets more of it than the fans of other genres do."""
    name, told = "a fan of a genre gets it", "share of the genre in its fans' lists less that in other fans' lists"
    liked = _liked(trial.bits, genres)
    if len(liked) < 2 or not len(trial):
        return BehavioralTest(name, None, 0.0, 0, "there are no two genres with enough items")
    last = float(np.nanmax(trial.moments))
    fans = Histories.from_rows([(items, [last] * LIKED) for items in liked.values()])
    # The same items are hidden from all: else a genre's own fans would miss just its best known ones.
    every = np.unique(fans.items).tolist()
    hidden = Histories.from_rows([(every, [last] * len(every))] * len(liked))
    moments = np.full(len(fans), last)
    found = ranker.recommend_many(fans, moments=moments, exclude=hidden, k=K, model=model).items
    gains = []
    for row, genre in enumerate(liked):
        has = np.array([genre in (own or ()) for own in genres] + [False])
        shares = has[found].mean(axis=1)
        gains.append(float(shares[row] - np.delete(shares, row).mean()))
    figure = round(float(np.mean(gains)), 6)  # exactly 0 where all fans get the same
    return BehavioralTest(name, figure, 0.0, len(liked), f"{told}: {figure:+.1%}, mean of {len(liked)} genres")


def _liked(bits: FloatArray, genres: Sequence[Sequence[str] | None]) -> dict[str, list[int]]:
    """What the fan of each large genre took to: its purest items (of fewest genres) in the better known half."""
    sizes = Counter(genre for row in genres for genre in row or ())
    chosen = sorted(sizes, key=lambda genre: (-sizes[genre], genre))[:GENRES]
    liked = {}
    for genre in chosen:
        own = [item for item, row in enumerate(genres) if genre in (row or ())]
        known = sorted(own, key=lambda item: (bits[item], item))[: max(len(own) // 2, LIKED)]
        liked[genre] = sorted(known, key=lambda item: (len(genres[item] or ()), bits[item], item))[:LIKED]
    return {genre: items for genre, items in liked.items() if len(items) == LIKED}


def _steady(
    trial: TestSet, ranker: Ranker, model: str, genres: Sequence[Sequence[str] | None], least: float
) -> BehavioralTest:
    """Where the oldest of at least LEAST_EVENTS events becomes one of another genre, the list hardly moves."""
    name = "an irrelevant event hardly moves the list"
    trial = trial.take(np.flatnonzero(trial.histories.lengths >= LEAST_EVENTS).astype(np.int64))
    if not len(trial):
        return BehavioralTest(name, None, least, 0, f"no user has {LEAST_EVENTS} events")
    items = trial.histories.items.copy()
    for row, at in enumerate(trial.histories.indptr[:-1].tolist()):
        items[at] = _unlike(set(trial.histories[row][0].tolist()), items[at], genres, row)
    changed = replace(trial, histories=replace(trial.histories, items=items))
    figure = float(overlap(ask(ranker, trial, K, model), ask(ranker, changed, K, model)).mean())
    text = f"{figure:.0%} of the first ten stay when the oldest event is another, mean of {len(trial):,} users"
    return BehavioralTest(name, figure, least, len(trial), text)


def _unlike(known: set[int], item: int, genres: Sequence[Sequence[str] | None], start: int) -> int:
    """An item that shares no genre with `item` and is not in the history; the search begins at another one each row."""
    own, n = set(genres[item] or ()), len(genres)
    for step in range(n):
        other = (start * 7919 + step) % n
        if other not in known and not own.intersection(genres[other] or ()):
            return other
    return int(item)


def _ties(trial: TestSet, ranker: Ranker, model: str) -> BehavioralTest:
    """How far the order of events of the same instant, which is the file's, decides the list. Only told."""
    name = "order of events of one instant"
    turned = _turned(trial.histories)
    rows = np.flatnonzero([not np.array_equal(turned[r][0], trial.histories[r][0]) for r in range(len(trial))])
    if not len(rows):
        return BehavioralTest(name, None, None, 0, "no user has two events in one instant")
    tied: IntArray = rows.astype(np.int64)
    some, other = trial.take(tied), replace(trial, histories=turned).take(tied)
    figure = float(overlap(ask(ranker, some, K, model), ask(ranker, other, K, model)).mean())
    return BehavioralTest(name, figure, None, len(tied), f"{figure:.0%} of the first ten stay when it is turned round")


def _turned(histories: Histories) -> Histories:
    """Each run of events of a row at one instant, in reverse."""
    n = len(histories.items)
    rank = np.arange(n)
    order = np.lexsort((-rank, histories.times, histories.rows))
    return replace(histories, items=histories.items[order])
