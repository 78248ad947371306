"""The same item twice in the catalogue: does the blend rank both alike?

Items that lists show are doubled inside the trained engine: the second copy has the same content, the same counts and
the same score from every member. What then sets the two apart is the engine's own doing: cut-offs, ties, the blend's
features of ranks. Nothing is trained again, so this says nothing of a copy that came without its events.
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

NAME = "the same item twice ranks alike"
EVERY = 10  # one shown item of so many is doubled: all at once would crowd the candidates with copies
REACH = 2 * K  # alike: one copy is among the first K and the other no further down than this


@dataclass(frozen=True)
class Doubled:
    """A trained member over a catalogue in which some items stand twice. source: [m] the member's item behind each."""

    member: Recommender
    source: IntArray

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, m], for histories of the member's own items."""
        return self.member.score(histories, moments)[:, self.source]


def duplicate_items(trial: TestSet, engine: Engine, *, least: float) -> BehavioralTest:
    """least: the share of pairs that has to be ranked alike."""
    some = spread(trial)
    lists, _ = engine.top_k(some.histories, some.moments, K, exclude=some.exclude, hidden=None)
    shown, times = np.unique(lists[lists >= 0], return_counts=True)
    copied = np.sort(shown[np.argsort(-times, kind="stable")][EVERY // 2 :: EVERY]).astype(np.int64)
    if not len(copied):
        return BehavioralTest(NAME, None, least, 0, f"fewer than {EVERY // 2 + 1} items are shown")
    both = doubled(engine, copied)
    found, _ = both.top_k(some.histories, some.moments, REACH, exclude=some.exclude, hidden=None)
    pairs, alike = _counted(some, found, copied, engine.n_items)
    if not pairs:
        return BehavioralTest(NAME, None, least, 0, f"none of {len(copied):,} copied items gets among the first {K}")
    figure = alike / pairs
    text = f"{figure:.0%} of pairs stand in the first {REACH} together where one is in the first {K}"
    return BehavioralTest(NAME, figure, least, pairs, f"{text}; {len(copied):,} items copied, {pairs:,} pairs")


def doubled(engine: Engine, copied: IntArray) -> Engine:
    """The engine over its items and, behind them, the copies; histories may name its own items only."""
    source = np.concatenate([np.arange(engine.n_items), copied])
    known, counts = engine.catalogue, engine.statistics
    trends = tuple(Popularity(each.edges, each.table[:, source]) for each in counts.trends)
    return replace(
        engine,
        # All that an engine asks of a member is its scores.
        members={name: cast("Recommender", Doubled(member, source)) for name, member in engine.members.items()},
        statistics=replace(counts, trends=trends, first=counts.first[source]),
        catalogue=Catalogue(known.vectors[source], known.genres[source], known.years[source]),
    )


def _counted(trial: TestSet, found: ItemArray, copied: IntArray, n_items: int) -> tuple[int, int]:
    """Pairs with a copy among the first K, and those with both in the list. What a user has seen is left out: its copy
    alone may be shown."""
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
