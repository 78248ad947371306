"""Re-ranking: select a list from scored candidates, with diversity, caps and exploration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from nightreel.data.histories import FloatArray, IntArray


@dataclass(frozen=True)
class Cap:
    """At most `most` items of a list may share a label. labels: [p] of each candidate."""

    labels: Sequence[tuple[Hashable, ...]]
    most: int


@dataclass(frozen=True, eq=False)
class Chosen:
    """A selected list. places: indices of the candidates, in list order; propensities: probability that each of them is
    in the list, at any position; NaN if it is not known in closed form, with exploration combined with diversity or
    caps."""

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
    """Select at most k of p candidates by maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998).

    Each place goes to the candidate with the highest (1 - diversity) x relevance - diversity x (greatest similarity to
    the selected ones) + offset; ties go to the earlier one. With probability `explore`, the place is filled with a
    random candidate that the caps permit instead.

    Args:
        relevance: [p] in [0, 1].
        similarity: [p, p] in [-1, 1]; needed for diversity above 0.
        k: Maximum length of the list.
        first: Candidates that come first, regardless of scores and caps.
        offset: [p] added to a candidate's value.
        diversity: 0 to 1.
        caps: Limits on shared labels.
        explore: Probability in [0, 1] of a random candidate per place.
        generator: Random generator; needed for explore above 0.

    Returns:
        The selected candidates with their propensities.
    """
    free = np.ones(len(relevance), bool)
    nearest = np.zeros(len(relevance))
    used: list[Counter[Hashable]] = [Counter() for _ in caps]
    places: list[int] = []
    added = np.zeros(len(relevance)) if offset is None else offset
    for at in range(min(k, len(relevance))):
        if at < len(first):
            place = first[at]
        elif not free.any():
            break
        else:
            value = np.where(free, (1.0 - diversity) * relevance - diversity * nearest + added, -np.inf)
            place = _drawn(value, explore, generator)
        places.append(place)
        free[place] = False
        if similarity is not None:
            nearest = similarity[place] if len(places) == 1 else np.maximum(nearest, similarity[place])
        for cap, taken in zip(caps, used, strict=True):
            taken.update(cap.labels[place])
            full = {label for label in cap.labels[place] if taken[label] >= cap.most}
            if full:
                free &= np.fromiter((full.isdisjoint(row) for row in cap.labels), bool, len(free))
    chosen = np.array(places, np.int64)
    if not explore or generator is None:
        return Chosen(chosen, np.ones(len(chosen)))
    if diversity or caps:
        return Chosen(chosen, np.full(len(chosen), np.nan))
    return Chosen(chosen, _listed(relevance + added, first, min(k, len(relevance)), explore)[chosen])


def _drawn(value: FloatArray, explore: float, generator: np.random.Generator | None) -> int:
    """The best place, or with probability `explore` a random free (finite) one."""
    if explore and generator is not None and generator.random() < explore:
        return int(generator.choice(np.flatnonzero(np.isfinite(value))))
    return int(np.argmax(value))


def _listed(value: FloatArray, first: Sequence[int], k: int, explore: float) -> FloatArray:
    """[p] probability that each candidate is among the k of a list, if no value depends on the selected candidates."""
    chance = np.ones(len(value))
    rest = np.setdiff1d(np.arange(len(value)), first)
    order = rest[np.argsort(-value[rest], kind="stable")]
    chance[order] = inclusion(len(order), max(k - len(first), 0), explore)
    return chance


def inclusion(n: int, places: int, explore: float) -> FloatArray:
    """[n] probability that the candidate of each rank gets one of the places, filled one after the other with the best
    remaining candidate or, with probability `explore`, a random remaining one.

    Computed by recursion from the last place: for a candidate only the number of better ones that remain matters.
    """
    better = np.arange(n)
    chance = np.zeros(n)  # no places are left
    for left in range(n - places + 1, n + 1):
        one_less = np.concatenate([[1.0], chance[:-1]])  # a better one is taken; if none remains, the candidate itself
        drawn = (1.0 + better * one_less + np.maximum(left - 1 - better, 0) * chance) / left
        chance = (1.0 - explore) * one_less + explore * drawn
    return chance


def freshness(years: FloatArray) -> FloatArray:
    """[n] share of the dated items that are older; 0 for the oldest and for undated items. Shares, because no scale in
    days fits both films and clips."""
    known = np.sort(years[np.isfinite(years)])
    if len(known) < 2:
        return np.zeros(len(years))
    older = np.searchsorted(known, years) / (len(known) - 1)
    return np.where(np.isfinite(years), np.minimum(older, 1.0), 0.0)
