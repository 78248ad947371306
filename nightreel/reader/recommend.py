"""Recommendation lists: the best candidates, without hidden items, reordered by options and rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nightreel.bundle.clock import Moment
from nightreel.bundle.editorial_rules import InForce
from nightreel.bundle.item_table import Mask
from nightreel.bundle.newcomers import Rows
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.errors import UserError
from nightreel.models.engine import BLEND
from nightreel.models.top_k import TopK
from nightreel.reader.explain.reasons import Why
from nightreel.reader.exploration.thompson_sampling import Exploration, explored
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import MOST_REORDERED, PLAIN, RequestOptions
from nightreel.reader.question import Question
from nightreel.reader.results import Reason, Recommendation
from nightreel.reader.slates.slate import EXPLORED, PICKED, POOL, PROMOTED, Slate, compose, kept_out
from nightreel.reader.visibility import Standing, permitted

WAYS = {
    PICKED: Reason("rule", "Picked by the editors", (), (), 0.0),
    PROMOTED: Reason("rule", "Promoted", (), (), 0.0),
    EXPLORED: Reason("explored", "Shown to find out who likes it", (), (), 0.0),
}
BLOCK = 1024  # rows per block
SPARE = 3  # candidates per place of the list, where the order is changed


@dataclass(frozen=True, eq=False)
class Asked:
    """A batch of requests.

    Attributes:
        past: n histories.
        moments: [n] time of each list; NaN for the end of the data.
        exclude: n rows of items to leave out, or None.
        users: User rows of the precomputed lists that answer the requests; None if they don't apply.
        segments: Rows of the labels of the one user without events whom the requests are for; none for all others.
    """

    past: Histories
    moments: FloatArray
    exclude: Histories | None
    users: IntArray | slice | None = None
    segments: Rows = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.past)

    def take(self, rows: IntArray) -> Asked:
        """A subset of the rows; users must be row numbers."""
        exclude = self.exclude.take(rows) if self.exclude is not None else None
        users = self.users[rows] if isinstance(self.users, np.ndarray) else None
        return Asked(self.past.take(rows), self.moments[rows], exclude, users, self.segments)


@dataclass(frozen=True)
class Order:
    """What changes the order of a list. options: of the request; ruled: rules in force; exploration: None for none but
    the options' own at random."""

    options: RequestOptions
    ruled: InForce | None
    exploration: Exploration | None = None


def of_users(bundle: OpenBundle, rows: IntArray, at: Moment | Sequence[Moment], without: bool) -> Asked:
    """Requests for known users, by their rows. without: leave out items that they have seen."""
    past = bundle.users.histories.take(rows)
    return Asked(past, bundle.clock.moments(past, at), bundle.users.seen.take(rows) if without else None, rows)


def recommendations(
    bundle: OpenBundle,
    question: Question,
    k: int,
    options: RequestOptions,
    with_reasons: bool,
    standing: Standing,
    offset: int = 0,
    exploration: Exploration | None = None,
) -> list[Recommendation]:
    """The list, or the places after the first `offset` of it, with reasons if requested. standing: rights and rules in
    force."""
    kept = kept_out(bundle.items, bundle.facets, options) if options.filters else None
    order = Order(options if exploration is None else replace(options, explore=0.0), standing.ruled, exploration)
    slate = _slate(bundle, question, k, order, kept, standing, offset)
    reasons_of: list[tuple[Reason, ...]] = [()] * len(slate.items)
    if with_reasons:
        why = Why.of(bundle, question, slate.items, (_both(standing.out, kept), standing.hidden), options)
        reasons_of = [_told(why, at, slate) for at in range(len(slate.items))]
    short = "for you" if len(question.past.items) else "popular among similar users" if question.segments else "popular"
    rows = zip(
        slate.items.tolist(), slate.scores.tolist(), slate.propensities.tolist(), slate.ways, reasons_of, strict=True
    )
    return [
        Recommendation(bundle.items.ids[i], bundle.items.titles[i], rank, score, way or short, propensity, reasons)
        for rank, (i, score, propensity, way, reasons) in enumerate(rows, offset + 1)
    ]


def _told(why: Why, at: int, slate: Slate) -> tuple[Reason, ...]:
    """Reasons of an item: a pin needs no other reason; a boosted item has others if the models ranked it."""
    way = slate.ways[at]
    own = (WAYS[way],) if way else ()
    return own if way == PICKED or np.isnan(slate.scores[at]) else (*own, *why.reasons(at))


def _slate(
    bundle: OpenBundle,
    question: Question,
    k: int,
    order: Order,
    kept: Mask | None,
    standing: Standing,
    offset: int,
) -> Slate:
    """Build the list for one request. kept: [n_items] items that the options leave out; offset: places before it."""
    reorders = order.options.reorders or standing.reorders or order.exploration is not None
    if reorders and offset > MOST_REORDERED:
        raise UserError(
            f"offset is {offset}. Where options or rules change the order, the maximum is {MOST_REORDERED:,}. Leave "
            "out what was shown with `exclude` instead."
        )
    own = slice(question.row, question.row + 1) if question.row is not None else None
    requests = Asked(question.past, question.moments, question.exclude, own, question.segments)
    more, least = (max(POOL, SPARE * k), SPARE * k) if reorders else (k, k)
    if offset:
        found = _deep(bundle, requests, offset + more, kept, standing)
    else:
        found = _candidates(bundle, requests, more, least, BLEND, kept, standing)
    listed = found.items[0] >= 0
    items, scores = found.items[0][listed].astype(np.int64), found.scores[0][listed].astype(np.float64)
    if not reorders:
        items, scores = items[offset : offset + k], scores[offset : offset + k]
        return Slate(items, scores, np.ones(len(items)), ("",) * len(items))
    never = _never(standing, question.exclude, kept)
    if offset:
        first = _slate(bundle, question, offset % k or k, order, kept, standing, 0)
        return _page(bundle, items, scores, (first, offset, k), order, never, question.past)
    return _explored(bundle, _composed(bundle, items, scores, k, order, never), order, never, question.past, 0)


def _deep(bundle: OpenBundle, requests: Asked, need: int, kept: Mask | None, standing: Standing) -> TopK:
    """The list down to place `need`, so that its beginning is the list that a request for fewer places gets."""
    own = None
    if kept is None and standing.stored:
        without = bundle.stored.without
        width = min(need + int((standing.hidden & ~without).sum()), len(bundle.items))
        found = _top(bundle, requests, width, BLEND, without if without.any() else None)
        own = _stored(bundle, requests.users, POOL)
    else:
        found = _top(bundle, requests, min(need, len(bundle.items)), BLEND, _both(standing.out, kept))
    if own is not None:  # it was computed on another machine, where near ties may have fallen otherwise
        rest = ~np.isin(found.items[0], own.items[0])
        found = TopK(np.hstack([own.items, found.items[:, rest]]), np.hstack([own.scores, found.scores[:, rest]]))
    shown = (found.items[0] >= 0) & ~standing.hidden[found.items[0]]
    return TopK(found.items[:, shown], found.scores[:, shown])


def _page(
    bundle: OpenBundle,
    items: IntArray,
    scores: FloatArray,
    place: tuple[Slate, int, int],
    order: Order,
    never: Mask,
    past: Histories,
) -> Slate:
    """Places offset to offset + k of a list that is reordered: each page is the list of those items that the pages
    before it left, so no item comes twice and none is passed over.

    Args:
        bundle: The open version.
        items: [p] candidates, best first.
        scores: [p] their scores.
        place: The first page (as long as leaves whole pages of k up to the offset), offset and k.
        order: What changes the order.
        never: [n_items] items that may not be added.
        past: The history, one row.
    """
    slate, offset, k = place
    never, pool = never.copy(), max(POOL, SPARE * k)
    for page in range(1, 1 - (-offset // k)):
        never[slate.items] = True
        left = ~np.isin(items, slate.items)
        items, scores = items[left], scores[left]
        composed = _composed(bundle, items[:pool], scores[:pool], k, order, never)
        slate = _explored(bundle, composed, order, never, past, page)
    return slate


def _composed(bundle: OpenBundle, items: IntArray, scores: FloatArray, k: int, order: Order, never: Mask) -> Slate:
    return compose(
        items,
        scores,
        k,
        order.options,
        table=bundle.items,
        facets=bundle.facets,
        vectors=bundle.vectors,
        years=np.asarray(bundle.engine.catalogue.years, np.float64),
        hidden=never,
        ruled=order.ruled,
    )


def _explored(bundle: OpenBundle, slate: Slate, order: Order, never: Mask, past: Histories, page: int) -> Slate:
    if order.exploration is None:
        return slate
    return explored(bundle, slate, past, order.exploration, page, order.options, never, order.ruled)


def _candidates(
    bundle: OpenBundle, requests: Asked, need: int, enough: int, model: str, kept: Mask | None, standing: Standing
) -> TopK:
    """Lists of items that may be shown, at least `need` places wide, from the precomputed lists where possible.

    If time or rules hide more than the precomputed lists leave out, hidden items are removed from them; users without a
    precomputed list are handled in the same way, so that a history gets the same list as the user whose it is.

    Args:
        bundle: The open version.
        requests: The requests.
        need: Number of places.
        enough: Places that must be filled, unless there are no more items.
        model: Name of the model.
        kept: [n_items] items that the options leave out; if given, everything is computed anew.
        standing: Rights and rules in force.
    """
    if kept is not None or model != BLEND or not standing.stored:
        return _top(bundle, requests, need, model, _both(standing.out, kept))
    if not standing.beyond:
        return _stored(bundle, requests.users, need) or _top(bundle, requests, need, model, standing.out)
    if enough == need:
        found = _stored(bundle, requests.users, need)
        if found is not None and not standing.hidden[found.items].any():
            return found
    width, without = max(need, POOL), bundle.stored.without
    whole = _stored(bundle, requests.users, width)
    if whole is None:
        whole = _top(bundle, requests, width, model, without if without.any() else None)
    return permitted(
        whole, standing.hidden, enough, lambda rows: _top(bundle, requests.take(rows), width, model, standing.out)
    )


def _top(bundle: OpenBundle, requests: Asked, k: int, model: str, hidden: Mask | None) -> TopK:
    if requests.segments and model == BLEND:
        return bundle.top_in_segments(requests.past, requests.moments, requests.exclude, k, requests.segments, hidden)
    return bundle.top(requests.past, requests.moments, requests.exclude, k, model, hidden)


def _both(one: Mask | None, other: Mask | None) -> Mask | None:
    return one | other if one is not None and other is not None else other if one is None else one


def _stored(bundle: OpenBundle, users: IntArray | slice | None, need: int) -> TopK | None:
    """Precomputed lists, `need` places of them; None if they are not available."""
    stored = bundle.stored.lists
    if users is None or stored is None or need > stored.items.shape[1]:
        return None
    return TopK(stored.items[users, :need], stored.scores[users, :need])


def _never(standing: Standing, exclude: Histories | None, kept: Mask | None) -> Mask:
    """[n] items that neither pins nor boosts may add: hidden, filtered and seen items."""
    never = standing.hidden.copy() if kept is None else standing.hidden | kept
    if exclude is not None:
        never[exclude.items] = True
    return never


def _stacked(blocks: Sequence[TopK]) -> TopK:
    return TopK(np.concatenate([each.items for each in blocks]), np.concatenate([each.scores for each in blocks]))


def many(bundle: OpenBundle, requests: Asked, k: int, model: str, standing: Standing, kept: Mask | None = None) -> TopK:
    """Lists for many requests under the rights and rules in force. kept: [n_items] further items to leave out."""
    if not standing.reorders:
        found = _candidates(bundle, requests, k, k, model, kept, standing)
        return TopK(found.items[:, :k], found.scores[:, :k])
    starts = range(0, len(requests), BLOCK)
    blocks = [
        _reordered(bundle, requests.take(np.arange(start, min(start + BLOCK, len(requests)))), k, model, standing, kept)
        for start in starts
    ]
    return _stacked([TopK(np.empty((0, k), np.int32), np.empty((0, k), np.float32)), *blocks])


def _reordered(bundle: OpenBundle, requests: Asked, k: int, model: str, standing: Standing, kept: Mask | None) -> TopK:
    """Lists for a block of requests whose order is changed by rules."""
    found = _candidates(bundle, requests, max(POOL, SPARE * k), SPARE * k, model, kept, standing)
    items, scores = np.full((len(requests), k), -1, np.int32), np.full((len(requests), k), -np.inf, np.float32)
    for row in range(len(requests)):
        listed = found.items[row] >= 0
        never = _never(standing, requests.exclude.take([row]) if requests.exclude is not None else None, kept)
        slate = _composed(
            bundle,
            found.items[row][listed].astype(np.int64),
            found.scores[row][listed].astype(np.float64),
            k,
            Order(PLAIN, standing.ruled),
            never,
        )
        items[row, : len(slate.items)], scores[row, : len(slate.items)] = slate.items, slate.scores
    return TopK(items, scores)
