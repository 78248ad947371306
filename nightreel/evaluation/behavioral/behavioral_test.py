"""Behavioural tests of the candidate: not how accurate its lists are, but whether they react sensibly to the input.

In the manner of RecList (Chia et al. 2022, doi:10.1145/3487553.3524215). Deterministic: synthetic histories, and test
users at even distances.
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
GENRES, LIKED = 8, 5  # genres with a synthetic fan, items that a fan liked
SURE = 2.0  # standard errors
LEAST_EVENTS = 5  # length of a history from which one changed event should matter little


@dataclass(frozen=True)
class BehavioralTest:
    """Result of one behavioural test.

    figure: measured value, None if not applicable; bound: lowest value that passes, None if the test is reported only;
    cases: number of lists behind the value.
    """

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
    """Run the tests on a test set's users.

    Args:
        trial: The test set.
        ranker: The candidate.
        model: The model whose lists are tested.
        genres: Of each item.
        steady: Lowest overlap that passes after one event is replaced.
    """
    some = spread(trial)
    return [
        _fans(trial, ranker, model, genres),
        _steady(some, ranker, model, genres, steady),
        _ties(some, ranker, model),
    ]


def spread(trial: TestSet) -> TestSet:
    """At most ASKED rows of the test set, evenly spaced."""
    return trial.take(np.unique(np.linspace(0, max(len(trial) - 1, 0), min(ASKED, len(trial))).astype(np.int64)))


def overlap_with_last_night(before: ItemArray | None, now: ItemArray) -> BehavioralTest:
    """Overlap with the champion's top 10 [n, 10]. Reported only, because a changed list may be better."""
    name = "overlap with the champion's lists"
    if before is None or not len(before):
        return BehavioralTest(name, None, None, 0, "there are no champion lists for the same users")
    figure = float(overlap(before, now).mean())
    text = f"{figure:.0%} of the champion's top 10 are kept, mean of {len(now):,} lists"
    return BehavioralTest(name, figure, None, len(now), text)


def _fans(trial: TestSet, ranker: Ranker, model: str, genres: Sequence[Sequence[str] | None]) -> BehavioralTest:
    """A user who liked items of one genre does not get less of it, for sure, than users who liked other genres do."""
    name = "lists follow a genre preference"
    liked = _liked(trial.bits, genres)
    if len(liked) < 2 or not len(trial):
        return BehavioralTest(name, None, 0.0, 0, "fewer than two genres have enough items")
    last = float(np.nanmax(trial.moments))
    fans = Histories.from_rows([(items, [last] * LIKED) for items in liked.values()])
    # The same items are hidden from all fans; otherwise only a genre's own fans would miss its best-known items.
    every = np.unique(fans.items).tolist()
    hidden = Histories.from_rows([(every, [last] * len(every))] * len(liked))
    moments = np.full(len(fans), last)
    found = ranker.recommend_many(fans, moments=moments, exclude=hidden, k=K, model=model).items
    gains = []
    for row, genre in enumerate(liked):
        has = np.array([genre in (own or ()) for own in genres] + [False])
        shares = has[found].mean(axis=1)
        gains.append(float(shares[row] - np.delete(shares, row).mean()))
    figure = round(float(np.mean(gains)), 6)  # exactly 0 if all fans get the same list
    chance = by_chance(gains)
    text = (
        f"simulated fans of a genre get {abs(figure) * 100:.1f} percentage points {'less' if figure < 0 else 'more'} "
        f"of it than fans of other genres (mean of {len(liked)} genres; at most {chance * 100:.1f} less may be chance)"
    )
    return BehavioralTest(name, figure, 0.0 - chance, len(liked), text)


def by_chance(gains: Sequence[float]) -> float:
    """How far below 0 the mean of some gains may be by chance: two standard errors. Where genres say little of taste,
    the mean of a few of them is below 0 as often as above it.

    Example:
        >>> by_chance([-0.1, 0.1, -0.05, 0.0])  # a mean of -0.0125 says nothing
        0.085391
        >>> by_chance([-0.1, -0.1, -0.1])  # a mean of -0.1 is sure
        0.0
    """
    return round(SURE * float(np.std(gains, ddof=1)) / float(np.sqrt(len(gains))), 6)


def _liked(bits: FloatArray, genres: Sequence[Sequence[str] | None]) -> dict[str, list[int]]:
    """The items that the fan of each large genre liked: those with the fewest genres in its more popular half."""
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
    """Replacing the oldest of at least LEAST_EVENTS events by an item of another genre hardly changes the list."""
    name = "replacing one old event hardly changes the list"
    trial = trial.take(np.flatnonzero(trial.histories.lengths >= LEAST_EVENTS).astype(np.int64))
    if not len(trial):
        return BehavioralTest(name, None, least, 0, f"no user has at least {LEAST_EVENTS} events")
    items = trial.histories.items.copy()
    for row, at in enumerate(trial.histories.indptr[:-1].tolist()):
        items[at] = _unlike(set(trial.histories[row][0].tolist()), items[at], genres, row)
    changed = replace(trial, histories=replace(trial.histories, items=items))
    figure = float(overlap(ask(ranker, trial, K, model), ask(ranker, changed, K, model)).mean())
    text = f"{figure:.0%} of the top 10 are kept when the oldest event is replaced, mean of {len(trial):,} users"
    return BehavioralTest(name, figure, least, len(trial), text)


def _unlike(known: set[int], item: int, genres: Sequence[Sequence[str] | None], start: int) -> int:
    """An item that shares no genre with `item` and is not in the history; each row starts at another item."""
    own, n = set(genres[item] or ()), len(genres)
    for step in range(n):
        other = (start * 7919 + step) % n
        if other not in known and not own.intersection(genres[other] or ()):
            return other
    return int(item)


def _ties(trial: TestSet, ranker: Ranker, model: str) -> BehavioralTest:
    """How much the list depends on the file's order of simultaneous events. Reported only."""
    name = "order of simultaneous events"
    turned = _turned(trial.histories)
    rows = np.flatnonzero([not np.array_equal(turned[r][0], trial.histories[r][0]) for r in range(len(trial))])
    if not len(rows):
        return BehavioralTest(name, None, None, 0, "no user has two events at the same time")
    tied: IntArray = rows.astype(np.int64)
    some, other = trial.take(tied), replace(trial, histories=turned).take(tied)
    figure = float(overlap(ask(ranker, some, K, model), ask(ranker, other, K, model)).mean())
    return BehavioralTest(name, figure, None, len(tied), f"{figure:.0%} of the top 10 are kept when it is reversed")


def _turned(histories: Histories) -> Histories:
    """The histories with every run of simultaneous events reversed."""
    n = len(histories.items)
    rank = np.arange(n)
    order = np.lexsort((-rank, histories.times, histories.rows))
    return replace(histories, items=histories.items[order])
