"""From the engine's best candidates to the list that is shown: where wishes are met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.data.histories import FloatArray, Histories, IntArray
from tasks.index.facets import Facets
from tasks.index.item_table import ItemTable, Mask
from tasks.index.selection import Cap, Chosen, choose, freshness
from tasks.index.wishes import Wishes

POOL = 100  # candidates at least that a wished list is chosen from
HALF = 20.0  # place at which relevance has fallen to a half
LEAST_SPREAD = 1e-6  # of cosines: below it the items are all equally alike
BOOST, BURY = 0.5, -10.0  # added to a relevance between 0 and 1


@dataclass(frozen=True, eq=False)
class Question:
    """One history at one moment, and what its list may not hold.

    past: one row; exclude: one row of items left out, or None; moments, expiry: [1]; row: the user's, where the answer
    is the one that was computed with the bundle, else None.
    """

    past: Histories
    exclude: Histories | None
    moments: FloatArray
    expiry: FloatArray
    row: int | None = None


@dataclass(frozen=True, eq=False)
class Slate:
    """items: [≤ k] in order; scores: [≤ k] the engine's (NaN: it did not rank the item); propensities: [≤ k]."""

    items: IntArray
    scores: FloatArray
    propensities: FloatArray


def indices(items: ItemTable, ids: Sequence[str]) -> list[int]:
    """Rows of the ids that are known, each once, in order."""
    found = [items.index_of(each) for each in ids]
    return list(dict.fromkeys(i for i in found if i is not None))


def kept_out(items: ItemTable, facets: Facets, wishes: Wishes) -> Mask:
    """[n] items that the wishes leave out of the list, blocked ones included."""
    hidden = items.blocked.copy()
    for facet in ("languages", "media_types", "genres"):
        wanted = getattr(wishes, facet)
        if wanted:
            hidden |= ~facets.holding(facet, wanted)
    if wishes.audience_age is not None:
        hidden |= ~(facets.min_ages <= wishes.audience_age)
    hidden[indices(items, (*wishes.exclude, *wishes.liked, *wishes.skipped))] = True
    return hidden


def extended(past: Histories, liked: Sequence[int], step: float, until: float) -> Histories:
    """A row with more events at its end, `step` apart; an empty one begins after `until`."""
    items, times = past[0]
    last = float(times[-1]) if len(times) else until
    more = last + step * np.arange(1, len(liked) + 1)
    return Histories.from_rows([([*items.tolist(), *liked], [*times.tolist(), *more.tolist()])])


def compose(
    items: IntArray,
    scores: FloatArray,
    k: int,
    wishes: Wishes,
    *,
    table: ItemTable,
    facets: Facets,
    vectors: npt.NDArray[np.float32],
    years: FloatArray,
    hidden: Mask,
) -> Slate:
    """The list of at most k from a pool: items [p], best first, with the engine's scores.

    vectors: [n, d] unit content vectors; years: [n] when an item appeared; hidden: [n], what pins and boosts can't
    bring in either.
    """
    pinned = [i for i in indices(table, wishes.pinned) if not hidden[i]]
    boosted = [i for i in indices(table, wishes.boosted) if not hidden[i]]
    pool = np.array(list(dict.fromkeys([*items.tolist(), *boosted, *pinned])), np.int64)
    relevance = np.zeros(len(pool))
    relevance[: len(items)] = HALF / (HALF + np.arange(len(items)))
    if wishes.freshness:
        relevance = (1.0 - wishes.freshness) * relevance + wishes.freshness * freshness(years)[pool]
    relevance *= 1.0 - _likeness(vectors, pool, indices(table, wishes.skipped))
    offset = BOOST * np.isin(pool, boosted) + BURY * np.isin(pool, indices(table, wishes.buried))
    place = {int(item): at for at, item in enumerate(pool)}
    chosen = choose(
        relevance, _similarity(vectors[pool]) if wishes.diversity else None, k,
        first=[place[i] for i in pinned], offset=offset, diversity=wishes.diversity, caps=_caps(wishes, facets, pool),
        explore=wishes.explore, generator=np.random.default_rng(wishes.seed) if wishes.explore else None,
    )  # fmt: skip
    return _slate(pool, scores, chosen)


def _slate(pool: IntArray, scores: FloatArray, chosen: Chosen) -> Slate:
    told = np.full(len(pool), np.nan)
    told[: len(scores)] = scores
    return Slate(pool[chosen.places], told[chosen.places], chosen.propensities)


def _likeness(vectors: npt.NDArray[np.float32], pool: IntArray, skipped: Sequence[int]) -> FloatArray:
    """[p] greatest cosine with a skipped item, at least 0."""
    if not skipped or not len(pool):
        return np.zeros(len(pool))
    return np.asarray(np.clip((vectors[pool] @ vectors[skipped].T).max(axis=1), 0.0, 1.0), np.float64)


def _similarity(vectors: npt.NDArray[np.float32]) -> FloatArray:
    """[p, p] cosines, spread so that the pool's most unlike pair has 0 and its most alike one 1: an encoder's cosines
    may all lie near 1, and diversity would count for nothing against relevance."""
    cosines = np.asarray(vectors @ vectors.T, np.float64)
    pairs = cosines[np.triu_indices(len(cosines), 1)]
    if not len(pairs) or pairs.max() - pairs.min() < LEAST_SPREAD:
        return np.zeros_like(cosines)
    return np.asarray(np.clip((cosines - pairs.min()) / (pairs.max() - pairs.min()), 0.0, 1.0))


def _caps(wishes: Wishes, facets: Facets, pool: IntArray) -> list[Cap]:
    wanted = ((wishes.max_per_creator, "creators"), (wishes.max_per_genre, "genres"))
    return [Cap([getattr(facets, name)[i] for i in pool.tolist()], most) for most, name in wanted if most is not None]
