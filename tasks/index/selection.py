"""Choosing a list from scored candidates: diversity, caps and exploration, one place after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.data.histories import FloatArray, IntArray

BOOST, BURY = 0.5, -10.0  # added to a relevance between 0 and 1


@dataclass(frozen=True)
class Cap:
    """At most `most` items of a list may share a label. labels: [p] of each candidate."""

    labels: Sequence[tuple[Hashable, ...]]
    most: int


@dataclass(frozen=True, eq=False)
class Chosen:
    """places: candidates in the order of the list; propensities: with what probability the drawing gave each place to
    just this candidate, given the places before it."""

    places: IntArray
    propensities: FloatArray


def choose(
    relevance: FloatArray,
    similarity: FloatArray | None,
    k: int,
    *,
    first: Sequence[int] = (),
    offset: FloatArray | None = None,
    diversity: float = 0.0,
    caps: Sequence[Cap] = (),
    explore: float = 0.0,
    generator: np.random.Generator | None = None,
) -> Chosen:
    """At most k of p candidates. relevance: [p] in [0, 1]; similarity: [p, p] in [-1, 1], needed for diversity; first:
    candidates that come first whatever they score, caps or not; offset: [p] added to what a candidate is worth.

    Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): each place goes to the candidate with the highest
    (1 - diversity) x relevance - diversity x its greatest similarity to what is chosen; ties to the earlier one. With
    probability `explore` a place is drawn evenly from all candidates that the caps permit instead.
    """
    free = np.ones(len(relevance), bool)
    nearest = np.zeros(len(relevance))
    used: list[Counter[Hashable]] = [Counter() for _ in caps]
    places: list[int] = []
    propensities: list[float] = []
    added = np.zeros(len(relevance)) if offset is None else offset
    for at in range(min(k, len(relevance))):
        if at < len(first):
            place, propensity = first[at], 1.0
        elif not free.any():
            break
        else:
            value = np.where(free, (1.0 - diversity) * relevance - diversity * nearest + added, -np.inf)
            place, propensity = _drawn(value, explore, generator)
        places.append(place)
        propensities.append(propensity)
        free[place] = False
        if similarity is not None:
            nearest = similarity[place] if len(places) == 1 else np.maximum(nearest, similarity[place])
        for cap, taken in zip(caps, used, strict=True):
            taken.update(cap.labels[place])
            full = {label for label in cap.labels[place] if taken[label] >= cap.most}
            if full:
                free &= np.fromiter((full.isdisjoint(row) for row in cap.labels), bool, len(free))
    return Chosen(np.array(places, np.int64), np.array(propensities))


def _drawn(value: FloatArray, explore: float, generator: np.random.Generator | None) -> tuple[int, float]:
    """The best place, or with probability `explore` any that is free (finite); and how probable that was."""
    best, free = int(np.argmax(value)), np.flatnonzero(np.isfinite(value))
    place = best
    if explore and generator is not None and generator.random() < explore:
        place = int(generator.choice(free))
    return place, (1.0 - explore) * (place == best) + explore / len(free)


def freshness(years: FloatArray) -> FloatArray:
    """[n] share of the dated items that are older, 0 for the oldest and the undated: no scale of days fits both films
    and clips."""
    known = np.sort(years[np.isfinite(years)])
    if len(known) < 2:
        return np.zeros(len(years))
    older = np.searchsorted(known, years) / (len(known) - 1)
    return np.where(np.isfinite(years), np.minimum(older, 1.0), 0.0)
