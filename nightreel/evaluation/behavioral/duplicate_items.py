"""Behavioural test: an item that is in the catalogue twice gets similar ranks.

Some of the recommended items are duplicated inside the trained engine: the copy has the same content, the same counts
and the same score from every member. Any difference in rank then comes from the engine: cut-offs, ties, and the
blend's rank features. Nothing is retrained, so this does not test a copy without its own events. Lists are made without
places for new items, which go by rank in the whole catalogue: there a copy stands one rank behind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest, K, spread
from nightreel.evaluation.test_set import TestSet
from nightreel.models.base import Catalogue, Recommender, Scores
from nightreel.models.baselines.popularity import Popularity
from nightreel.models.engine import Engine

NAME = "duplicated items rank alike"
EVERY = 10  # one in so many recommended items is duplicated; more would crowd the candidates with copies
REACH = 2 * K  # alike: one copy is in the top K and the other in the top REACH


@dataclass(frozen=True)
class Doubled:
    """A trained member over a catalogue with duplicates. source: [m] the member's own item behind each."""

    member: Recommender
    source: IntArray

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, m], for histories of the member's own items."""
        return self.member.score(histories, moments)[:, self.source]


def duplicate_items(trial: TestSet, engine: Engine, *, least: float) -> BehavioralTest:
    """Run the test. least: the share of pairs that must be ranked alike."""
    some, engine = spread(trial), replace(engine, new_every=0)
    lists, _ = engine.top_k(some.histories, some.moments, K, exclude=some.exclude, hidden=None)
    shown, times = np.unique(lists[lists >= 0], return_counts=True)
    copied = np.sort(shown[np.argsort(-times, kind="stable")][EVERY // 2 :: EVERY]).astype(np.int64)
    if not len(copied):
        return BehavioralTest(NAME, None, least, 0, f"fewer than {EVERY // 2 + 1} items are recommended")
    both = doubled(engine, copied)
    found, _ = both.top_k(some.histories, some.moments, REACH, exclude=some.exclude, hidden=None)
    pairs, alike = _counted(some, found, copied, engine.n_items)
    if not pairs:
        return BehavioralTest(NAME, None, least, 0, f"none of {len(copied):,} duplicated items is in a top {K}")
    figure = alike / pairs
    text = f"in {figure:.0%} of {pairs:,} pairs with one copy in the top {K}, both are in the top {REACH}"
    return BehavioralTest(NAME, figure, least, pairs, f"{text}; {len(copied):,} items duplicated")


def doubled(engine: Engine, copied: IntArray) -> Engine:
    """The engine over its own items followed by the copies; histories may contain original items only."""
    source = np.concatenate([np.arange(engine.n_items), copied])
    known, counts = engine.catalogue, engine.statistics

    def copied_counts(counted: Popularity) -> Popularity:
        return Popularity(counted.edges, counted.table[:, source])

    trends = tuple(map(copied_counts, counts.trends))
    negatives = None if counts.negatives is None else copied_counts(counts.negatives)
    return replace(
        engine,
        # An engine needs nothing of a member but its scores.
        members={name: cast("Recommender", Doubled(member, source)) for name, member in engine.members.items()},
        statistics=replace(counts, trends=trends, first=counts.first[source], negatives=negatives),
        catalogue=Catalogue(known.vectors[source], known.genres[source], known.years[source]),
    )


def _counted(trial: TestSet, found: ItemArray, copied: IntArray, n_items: int) -> tuple[int, int]:
    """Number of pairs with a copy in the top K, and of those with both in the list.

    Items that the user has seen are not counted, because only their copy may be recommended.
    """
    pairs = alike = 0
    for row, items in enumerate(found):
        place = {int(item): at for at, item in enumerate(items) if item >= 0}
        seen = set() if trial.exclude is None else set(trial.exclude[row][0].tolist())
        for number, item in enumerate(copied.tolist()):
            ends = [place[each] for each in (item, n_items + number) if each in place]
            if item in seen or not ends or min(ends) >= K:
                continue
            pairs += 1
            alike += len(ends) == 2
    return pairs, alike
