"""A reader's answers other than lists: explanations, similar items, search, scores and ratings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nightreel.bundle.editorial_rules import InForce
from nightreel.bundle.item_table import Mask
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.errors import UserError
from nightreel.models.top_k import top_items
from nightreel.reader.explain.reasons import Why
from nightreel.reader.open_bundle import OpenBundle
from nightreel.reader.options import RequestOptions
from nightreel.reader.question import Question
from nightreel.reader.recommend import WAYS
from nightreel.reader.requests import arguments
from nightreel.reader.results import Evidence, Explanation, Reason, Similar
from nightreel.reader.slates.slate import PICKED, PROMOTED, kept_out
from nightreel.reader.visibility import Standing

USE = 0.3  # increase of the most popular item's search score
MEASURED = 5  # history items that an explanation leaves out, one at a time


def explanation(
    bundle: OpenBundle, question: Question, name: str, options: RequestOptions, standing: Standing
) -> Explanation:
    """Explain why an item is, or is not, in the list; raises UserError if it is unknown. standing: rights and rules in
    force."""
    item = bundle.items.require(name, standing.hidden | bundle.facets.unsuitable(options.audience_age))
    ruled = standing.ruled
    kept = kept_out(bundle.items, bundle.facets, options)
    past, left_out = _allowing(question.past, item), _left_out(bundle, question, item, standing)
    if left_out is None and (past is not question.past or item in bundle.items.rows_of(options.skipped)):
        left_out = "disliked"
    left_out = left_out or ("filter" if kept[item] else None)
    # As for a list: what was hidden after the lists were precomputed is taken out of them.
    hidden = kept | (bundle.stored.without if standing.stored and not options.filters else standing.hidden)
    hidden[item] = False
    request = Question(past, _without(question.exclude, item), question.moments, segments=question.segments)
    why = Why.of(bundle, request, np.array([item]), (hidden, standing.hidden), options, evidence=MEASURED)
    told = why.votes.ranked[0] or not len(request.past.items)  # a list for an empty history is of popular items
    reasons = why.reasons(0) if told else ()
    reasons = (*(_by_rule(ruled, item) if left_out is None else ()), *reasons)
    score, rank = float(why.effects.scores[0]), int(why.effects.places[0]) or None
    if request.segments:
        score, rank = _in_segments(bundle, request, item, hidden)
    ids, titles = bundle.items.ids, bundle.items.titles
    return Explanation(ids[item], titles[item], score, rank, left_out, reasons, _evidence(bundle, why))


def _in_segments(bundle: OpenBundle, request: Question, item: int, hidden: Mask) -> tuple[float, int | None]:
    """Score and place of an item for a user without events of whom something is known."""
    n = len(bundle.items)
    found = bundle.top_in_segments(request.past, request.moments, request.exclude, n, request.segments, hidden)
    place = int(np.flatnonzero(found.items[0] == item)[0])
    return float(found.scores[0, place]), place + 1


def _allowing(past: Histories, item: int) -> Histories:
    """The same history, without a dislike of the item, which would leave it out of every list."""
    if past.disliked is None or past.negatives is None or item not in past.disliked.items:
        return past
    return replace(past, negatives=past.negatives.where(past.negatives.items != item))


def _evidence(bundle: OpenBundle, why: Why) -> tuple[Evidence, ...]:
    """The history items that lift the explained one, largest drop first."""
    effects, ids, titles = why.effects, bundle.items.ids, bundle.items.titles
    order = [at for at in np.argsort(-effects.drops[:, 0], kind="stable").tolist() if effects.lifts[at, 0]]
    return tuple(
        Evidence(ids[item], titles[item], float(effects.drops[at, 0]), int(effects.places_without[at, 0]) or None)
        for at in order[:MEASURED]
        for item in (int(effects.history[at]),)
    )


def _by_rule(ruled: InForce | None, item: int) -> tuple[Reason, ...]:
    """The effect of the version's rules on an item that may be shown."""
    if ruled is None:
        return ()
    if item in ruled.pinned:
        return (WAYS[PICKED],)
    return (WAYS[PROMOTED],) if ruled.offset is not None and ruled.offset[item] > 0 else ()


def _left_out(bundle: OpenBundle, question: Question, item: int, standing: Standing) -> str | None:
    by_right = bundle.items.why_hidden(item, standing.instant)
    if by_right is not None:
        return by_right
    if standing.hidden[item]:
        return "rule"
    seen = question.exclude is not None and item in question.exclude.items
    return "seen" if seen else None


def _without(exclude: Histories | None, item: int) -> Histories | None:
    return None if exclude is None else exclude.where(exclude.items != item)


def similar(bundle: OpenBundle, name: str, k: int, hidden: Mask) -> list[Similar]:
    """Similar items from the precomputed neighbours, updated for changed items; else from the index, else from all
    vectors. hidden: [n] items that may not be shown to whoever asks."""
    item = bundle.items.require(name, hidden)
    near = _stored_near(bundle, item, hidden)
    nearest = bundle.engine.catalogue.nearest
    if len(near) < k and nearest is not None:
        items, values = nearest.best(bundle.vectors[item], k, np.array([item]), hidden)
        near = list(zip(items.tolist(), values.tolist(), strict=True))
    if len(near) >= k:
        return [Similar(bundle.items.ids[i], bundle.items.titles[i], value) for i, value in near[:k]]
    scores = np.asarray(bundle.vectors @ bundle.vectors[item], np.float32)
    scores[hidden] = -np.inf
    scores[item] = -np.inf
    return _best(bundle, scores, k, -np.inf)


def _stored_near(bundle: OpenBundle, item: int, hidden: Mask) -> list[tuple[int, float]]:
    """Precomputed neighbours of the base version; items that have changed since are compared again."""
    stored, changed = bundle.stored.neighbours, bundle.engine.catalogue.changed
    if stored is None:
        return []
    near = zip(stored.items[item].tolist(), stored.scores[item].tolist(), strict=True)
    if not len(changed):
        return [(i, value) for i, value in near if not hidden[i]]
    new = set(changed.tolist())
    if item in new:
        return []
    kept = [(i, value) for i, value in near if i not in new]
    floor = float(stored.scores[item, -1])  # below it, items that are not stored may rank higher
    values = (bundle.vectors[changed] @ bundle.vectors[item]).tolist()
    moved = [(i, value) for i, value in zip(changed.tolist(), values, strict=True) if value >= floor]
    return [(i, value) for i, value in sorted(kept + moved, key=lambda pair: (-pair[1], pair[0])) if not hidden[i]]


def search(bundle: OpenBundle, text: str, k: int, hidden: Mask) -> list[Similar]:
    """Search by BM25F; of equally matching items, the more popular ones come first. hidden: as in `similar`."""
    scores = bundle.words.scores(text)
    used = np.log1p(np.asarray(bundle.engine.statistics.trends[-1].table[-1], np.float64))
    scores *= 1.0 + USE * used / max(float(used.max(initial=0.0)), 1.0)
    scores[hidden] = 0.0
    return _best(bundle, scores.astype(np.float32), k, 0.0)


def _best(bundle: OpenBundle, scores: npt.NDArray[np.float32], k: int, above: float) -> list[Similar]:
    best = top_items(scores[None], k)[0]
    return [Similar(bundle.items.ids[i], bundle.items.titles[i], float(scores[i])) for i in best if scores[i] > above]


def scores(
    bundle: OpenBundle, histories: Histories, items: IntArray, moments: FloatArray | None, model: str
) -> npt.NDArray[np.float32]:
    """[n, len(items)] for histories; see Reader.score."""
    at = np.full(len(histories), np.nan) if moments is None else moments
    if model != "blend":
        return np.asarray(bundle.engine.scores(histories, at, model)[:, items], np.float32)
    others = np.ones(len(bundle.items), bool)
    others[items] = False
    if histories.negatives is not None:  # what is asked for gets a score, disliked or not
        histories = replace(histories, negatives=replace(histories.negatives, verdicts=None))
    listed, values = bundle.engine.top_k(histories, at, int((~others).sum()), exclude=None, hidden=others, model=model)
    result = np.full((len(histories), len(bundle.items)), np.nan, np.float32)
    row, place = np.nonzero(listed >= 0)
    result[row, listed[row, place]] = values[row, place]
    return result[:, items]


def ratings(
    bundle: OpenBundle, items: Sequence[str], user: str | None, given: Mapping[str, float] | None
) -> list[float]:
    """Predicted ratings; see Reader.rate."""
    model = bundle.ratings
    if model is None:
        raise UserError("This version was trained without ratings and can't predict them. Use `score` to rank items.")
    if given is not None and user is not None:
        raise UserError("Give a user or ratings, not both: ratings replace the user's own.")
    rows, row = _rows(bundle, items), len(bundle.users)
    if given is not None:
        arguments.of_type("ratings", given, Mapping)
        given = {arguments.text("ratings", item): arguments.number(f"ratings[{item}]", given[item]) for item in given}
        model, row = model.folded_in(_rows(bundle, given), np.array(list(given.values()), np.float64)), 0
    elif user is not None:
        row = int(bundle.users.rows([arguments.text("user", user)])[0])
    return [float(value) for value in model.predict(np.full(len(rows), row), rows)]


def _rows(bundle: OpenBundle, items: Iterable[str]) -> IntArray:
    return np.array([bundle.items.require(item) for item in items], np.int64)
