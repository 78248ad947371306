"""The final list: apply request options and rules to the best candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.bundle.editorial_rules import BOOST, BURY, InForce, LabelCap
from nightreel.bundle.item_facets import Facets
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.data.contract.editorial_rules import comparable
from nightreel.data.histories import FloatArray, IntArray
from nightreel.reader.options import RequestOptions
from nightreel.reader.slates.diversify import Cap, Chosen, choose, freshness

POOL = 100  # minimum number of candidates from which options select a list
HALF = 20.0  # rank at which relevance has fallen to a half
LEAST_SPREAD = 1e-6  # of cosines: below it all items are equally similar
PICKED, PROMOTED, EXPLORED = "picked", "promoted", "explored"  # what moved an item to its place, other than the model


NO_RULES = InForce(None, np.empty(0, np.int64), np.empty(0, np.int64), None, ())


@dataclass(frozen=True, eq=False)
class Slate:
    """A final list. items: [≤ k] in order; scores: [≤ k] of the model (NaN: it did not rank the item); propensities: [≤
    k]; ways: [≤ k] PICKED for a pin, PROMOTED for a boost, EXPLORED for a draw, else empty."""

    items: IntArray
    scores: FloatArray
    propensities: FloatArray
    ways: tuple[str, ...]


def kept_out(items: ItemTable, facets: Facets, options: RequestOptions) -> Mask:
    """[n] items that the options leave out of the list."""
    hidden = np.zeros(len(items), bool)
    for facet in ("languages", "media_types", "genres"):
        wanted = getattr(options, facet)
        if wanted:
            hidden |= ~facets.holding(facet, wanted)
    hidden |= facets.unsuitable(options.audience_age)
    hidden[items.rows_of((*options.exclude, *options.liked, *options.skipped))] = True
    return hidden


def compose(
    items: IntArray,
    scores: FloatArray,
    k: int,
    options: RequestOptions,
    *,
    table: ItemTable,
    facets: Facets,
    vectors: npt.NDArray[np.float32],
    years: FloatArray,
    hidden: Mask,
    ruled: InForce | None = None,
) -> Slate:
    """Select a list of at most k from a pool of candidates.

    Args:
        items: [p] item rows, best first.
        scores: [p] the model's scores.
        k: Maximum length of the list.
        options: The request's options.
        table: The items.
        facets: Their attributes.
        vectors: [n, d] content vectors of unit length.
        years: [n] year of each item.
        hidden: [n] items that pins and boosts may not add either.
        ruled: Editorial rules in force; their pins come before the request's.
    """
    rules = ruled or NO_RULES
    pinned = list(dict.fromkeys([*_open(rules.pinned, hidden), *_open(table.rows_of(options.pinned), hidden)]))[:k]
    boosted = _open(table.rows_of(options.boosted), hidden)
    # A list needs no more items that the model did not rank, and a table may boost thousands.
    ranked = set(items.tolist())
    brought = [i for i in _open(rules.boosted, hidden) if i not in ranked][:POOL]
    pool = np.array(list(dict.fromkeys([*items.tolist(), *boosted, *brought, *pinned])), np.int64)
    relevance = np.zeros(len(pool))
    relevance[: len(items)] = HALF / (HALF + np.arange(len(items)))
    if options.freshness:
        relevance = (1.0 - options.freshness) * relevance + options.freshness * freshness(years)[pool]
    relevance *= 1.0 - _likeness(vectors, pool, table.rows_of(options.skipped))
    place = {item: at for at, item in enumerate(pool.tolist())}
    offset = np.zeros(len(pool)) if rules.offset is None else rules.offset[pool]
    offset[[place[i] for i in boosted]] += BOOST
    offset[[place[i] for i in table.rows_of(options.buried) if i in place]] += BURY
    chosen = choose(
        relevance,
        _similarity(vectors[pool]) if options.diversity else None,
        k,
        first=[place[i] for i in pinned],
        offset=offset,
        diversity=options.diversity,
        caps=caps_of(options, rules, facets, pool),
        explore=options.explore or 0.0,
        generator=np.random.default_rng(options.seed) if options.explore else None,
    )
    return _slate(pool, scores, chosen, len(pinned), offset > 0)


def _slate(pool: IntArray, scores: FloatArray, chosen: Chosen, pins: int, lifted: Mask) -> Slate:
    all_scores = np.full(len(pool), np.nan)
    all_scores[: len(scores)] = scores
    ways = (PICKED if at < pins else PROMOTED if lifted[p] else "" for at, p in enumerate(chosen.places.tolist()))
    return Slate(pool[chosen.places], all_scores[chosen.places], chosen.propensities, tuple(ways))


def _open(rows: IntArray | Sequence[int], hidden: Mask) -> list[int]:
    at = np.asarray(rows, np.int64)
    return at[~hidden[at]].tolist()  # type: ignore[no-any-return]


def _likeness(vectors: npt.NDArray[np.float32], pool: IntArray, skipped: Sequence[int]) -> FloatArray:
    """[p] greatest cosine similarity to a skipped item, at least 0."""
    if not skipped or not len(pool):
        return np.zeros(len(pool))
    return np.asarray(np.clip((vectors[pool] @ vectors[skipped].T).max(axis=1), 0.0, 1.0), np.float64)


def _similarity(vectors: npt.NDArray[np.float32]) -> FloatArray:
    """[p, p] cosines, scaled so that the pool's least similar pair has 0 and its most similar pair 1. An encoder's
    cosines may all be near 1, and diversity would have no effect against relevance."""
    cosines = np.asarray(vectors @ vectors.T, np.float64)
    pairs = cosines[np.triu_indices(len(cosines), 1)]
    if not len(pairs) or pairs.max() - pairs.min() < LEAST_SPREAD:
        return np.zeros_like(cosines)
    return np.asarray(np.clip((cosines - pairs.min()) / (pairs.max() - pairs.min()), 0.0, 1.0))


def caps_of(options: RequestOptions, rules: InForce, facets: Facets, pool: IntArray) -> list[Cap]:
    """The caps of a request and of the rules in force, with the labels of the pool's items. All apply together, so the
    tighter of two counts."""
    own = (("creators", options.max_per_creator), ("genres", options.max_per_genre))
    caps = [*rules.caps, *(LabelCap(facet, None, most) for facet, most in own if most is not None)]
    return [Cap(_labels(facets, cap.facet, cap.label, pool), cap.most) for cap in caps]


def _labels(facets: Facets, name: str, only: str | None, pool: IntArray) -> list[tuple[str, ...]]:
    """Labels of the pool's items in comparable form; only: this one, or all."""
    rows = ([comparable(label) for label in getattr(facets, name)[i]] for i in pool.tolist())
    return [tuple(label for label in row if only in (None, label)) for row in rows]
