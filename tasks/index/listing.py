"""Making lists: the engine's best candidates, what may not be shown, and what wishes and rules do to their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.data.histories import FloatArray, Histories, IntArray
from tasks.index import reasons as why
from tasks.index.business_rules import InForce
from tasks.index.item_table import Mask
from tasks.index.lists import LISTS, Reason, Recommendation, TopK
from tasks.index.slates import PICKED, POOL, PROMOTED, Question, Slate, compose, kept_out
from tasks.index.wishes import PLAIN, Wishes

if TYPE_CHECKING:
    from tasks.index.reader import Reader

WAYS = {
    PICKED: Reason("rule", "Picked by the editors", (), (), 0.0),
    PROMOTED: Reason("rule", "Promoted", (), (), 0.0),
}
BLOCK = 1024  # rows answered at once
SPARE = 3  # times a list's length that is left to choose from, where order is changed


def recommendations(
    reader: Reader, question: Question, k: int, wishes: Wishes, with_reasons: bool, ruled: InForce | None
) -> list[Recommendation]:
    """The list with its reasons, if asked for. ruled: the version's rules that hold."""
    hidden = kept_out(reader.items, reader.facets, wishes) if wishes.filters else None
    slate = _slate(reader, question, k, wishes, hidden, ruled)
    told: list[tuple[Reason, ...]] = [()] * len(slate.items)
    if with_reasons:
        found = why.votes(reader.engine, question, slate.items, hidden)
        told = [_told(reader, found, at, question, slate) for at in range(len(slate.items))]
    short = "for you" if len(question.past.items) else "popular"
    rows = zip(slate.items.tolist(), slate.scores.tolist(), slate.propensities.tolist(), slate.ways, told, strict=True)
    return [
        Recommendation(reader.items.ids[i], reader.items.titles[i], rank, score, way or short, propensity, reasons)
        for rank, (i, score, propensity, way, reasons) in enumerate(rows, 1)
    ]


def _told(reader: Reader, found: why.Votes, at: int, question: Question, slate: Slate) -> tuple[Reason, ...]:
    """A pin owes its place to nobody's history; a boosted item does too, in part, where the engine ranked it."""
    way = slate.ways[at]
    own = (WAYS[way],) if way else ()
    if way == PICKED or np.isnan(slate.scores[at]):
        return own
    return (*own, *why.reasons(found, at, question, reader.items, reader.facets))


def _slate(
    reader: Reader, question: Question, k: int, wishes: Wishes, hidden: Mask | None, ruled: InForce | None
) -> Slate:
    reorders = wishes.reorders or (ruled is not None and ruled.reorders)
    out = ruled.hidden if ruled is not None else None
    if hidden is not None and out is not None:
        hidden, out = hidden | out, None  # asked anew in any case
    need = max(POOL, SPARE * k) if reorders or out is not None else k
    found = _best_candidates(reader, question, need, hidden)
    if out is not None:
        found = permitted(found, out, SPARE * k if reorders else k, lambda _: _computed(reader, question, need, out))
    kept = found.items[0] >= 0
    items, scores = found.items[0][kept].astype(np.int64), found.scores[0][kept].astype(np.float64)
    if not reorders:
        return Slate(items[:k], scores[:k], np.ones(len(items[:k])), ("",) * len(items[:k]))
    never = _never(reader, float(question.expiry[0]), question.exclude, hidden, ruled)
    return _composed(reader, items, scores, k, wishes, never, ruled)


def _composed(
    reader: Reader, items: IntArray, scores: FloatArray, k: int, wishes: Wishes, never: Mask, ruled: InForce | None
) -> Slate:
    return compose(
        items, scores, k, wishes, table=reader.items, facets=reader.facets, vectors=reader.vectors,
        years=np.asarray(reader.engine.catalogue.years, np.float64), hidden=never, ruled=ruled,
    )  # fmt: skip


def _best_candidates(reader: Reader, question: Question, need: int, hidden: Mask | None) -> TopK:
    """One row of at most `need`, read where it was computed with the bundle."""
    own = slice(question.row, question.row + 1) if question.row is not None else None
    return _read(reader, own, need, hidden) or _computed(reader, question, need, hidden)


def _read(reader: Reader, users: IntArray | slice | None, need: int, hidden: Mask | None) -> TopK | None:
    """Lists of at most `need` that were computed with the bundle; None where they can't be had."""
    stored = reader.stored.lists
    if users is None or hidden is not None or stored is None or need > stored.items.shape[1]:
        return None
    # As plain arrays: a part of a mapped one is a mapped one, and each later use of it pays for that.
    return TopK(np.asarray(stored.items[users, :need]), np.asarray(stored.scores[users, :need]))


def _computed(reader: Reader, question: Question, need: int, hidden: Mask | None) -> TopK:
    return reader.top(question.past, question.moments, question.exclude, need, "blend", question.expiry, hidden)


def permitted(found: TopK, hidden: Mask, enough: int, again: Callable[[IntArray], TopK]) -> TopK:
    """Lists without what is hidden. So that stored lists can be used, they are thinned out; only rows that have fewer
    than `enough` left, though there are more items, are asked again, by their numbers."""
    shown = (found.items >= 0) & ~hidden[found.items]
    order = np.argsort(~shown, axis=1, kind="stable")
    left = np.take_along_axis(shown, order, axis=1)
    items = np.where(left, np.take_along_axis(found.items, order, axis=1), -1)
    scores = np.where(left, np.take_along_axis(found.scores, order, axis=1), -np.inf)
    short = np.flatnonzero((found.items[:, -1] >= 0) & (shown.sum(axis=1) < enough))
    if len(short):
        anew = again(short)
        items[short], scores[short] = anew.items, anew.scores
    return TopK(items, scores)


def _never(
    reader: Reader, expiry: float, exclude: Histories | None, hidden: Mask | None, ruled: InForce | None
) -> Mask:
    """[n] what neither a pin nor a boost brings in: blocked, expired, filtered, hidden and seen items."""
    never = reader.items.hidden(expiry)
    for more in (hidden, ruled.hidden if ruled is not None else None):
        if more is not None:
            never |= more
    if exclude is not None:
        never[exclude.items] = True
    return never


def top(
    reader: Reader, past: Histories, moments: FloatArray, exclude: Histories | None, k: int, model: str,
    at: FloatArray, hidden: Mask | None,
) -> TopK:  # fmt: skip
    """Lists with blocked items and, in each row, those that have expired by its `at` [n] (NaN: none) left out.

    hidden: [n_items], in place of the blocked items.
    """
    if hidden is None:
        hidden = reader.items.blocked if reader.items.blocked.any() else None
    if not np.isfinite(reader.items.expires).any():
        return TopK(*reader.engine.top_k(past, moments, k, exclude=exclude, hidden=hidden, model=model))
    blocks = [TopK(np.empty((0, k), np.int32), np.empty((0, k), np.float32))]
    for start in range(0, len(past), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(past)))
        without = reader.items.expired_rows(at[rows], exclude.take(rows) if exclude is not None else None)
        found = reader.engine.top_k(past.take(rows), moments[rows], k, exclude=without, hidden=hidden, model=model)
        blocks.append(TopK(*found))
    return _stacked(blocks)


def _stacked(blocks: Sequence[TopK]) -> TopK:
    return TopK(np.concatenate([each.items for each in blocks]), np.concatenate([each.scores for each in blocks]))


def many(
    reader: Reader, past: Histories, moments: FloatArray, exclude: Histories | None, k: int, model: str,
    expiry: FloatArray, ruled: InForce | None, hidden: Mask | None = None, users: IntArray | None = None,
) -> TopK:  # fmt: skip
    """Lists for many rows under the rules that hold; hidden: [n_items] what else may not be shown, blocked items
    included; users: [n] whose rows they are, where all is asked as it was when lists were computed with the bundle."""
    if ruled is None:
        return _read(reader, users, k, hidden) or reader.top(past, moments, exclude, k, model, expiry, hidden)
    blocks = [
        _block(reader, past.take(rows), moments[rows], exclude.take(rows) if exclude is not None else None, k, model,
               expiry[rows], ruled, hidden, users[rows] if users is not None else None)
        for rows in (np.arange(start, min(start + BLOCK, len(past))) for start in range(0, len(past), BLOCK))
    ]  # fmt: skip
    return _stacked([TopK(np.empty((0, k), np.int32), np.empty((0, k), np.float32)), *blocks])


def _block(
    reader: Reader, past: Histories, moments: FloatArray, exclude: Histories | None, k: int, model: str,
    expiry: FloatArray, ruled: InForce, hidden: Mask | None, users: IntArray | None,
) -> TopK:  # fmt: skip
    need, out = max(POOL, SPARE * k), ruled.hidden

    def asked(rows: IntArray, hidden: Mask | None) -> TopK:
        without = exclude.take(rows) if exclude is not None else None
        return reader.top(past.take(rows), moments[rows], without, need, model, expiry[rows], hidden)

    if hidden is not None and out is not None:
        hidden, out = hidden | out, None
    found = _read(reader, users, need, hidden) or asked(np.arange(len(past)), hidden)
    if out is not None:
        found = permitted(found, out, SPARE * k if ruled.reorders else k, lambda rows: asked(rows, out))
    if not ruled.reorders:
        return TopK(found.items[:, :k], found.scores[:, :k])
    items, scores = np.full((len(past), k), -1, np.int32), np.full((len(past), k), -np.inf, np.float32)
    for row in range(len(past)):
        kept = found.items[row] >= 0
        never = _never(reader, float(expiry[row]), exclude.take([row]) if exclude is not None else None, hidden, ruled)
        slate = _composed(reader, found.items[row][kept].astype(np.int64), found.scores[row][kept].astype(np.float64),
                          k, PLAIN, never, ruled)  # fmt: skip
        items[row, : len(slate.items)], scores[row, : len(slate.items)] = slate.items, slate.scores
    return TopK(items, scores)


def table(
    reader: Reader, user_ids: Sequence[str], k: int, at: float | None, exclude_seen: bool | None, wishes: Wishes
) -> pa.Table:
    """Many users' lists; see Reader.recommend_users."""
    without = reader.config["exclude_seen"] if exclude_seen is None else exclude_seen
    hidden = kept_out(reader.items, reader.facets, wishes) if wishes.filters else None
    tables, ruled = [LISTS.empty_table()], reader.in_force(at)
    usual = at is None and without == reader.config["exclude_seen"]
    for start in range(0, len(user_ids), BLOCK):
        part = list(user_ids[start : start + BLOCK])
        users = reader.users.rows(part)
        past, exclude, moments = reader.known(users, at, without)
        expiry = reader.clock.expiry(len(part), at)
        found = many(reader, past, moments, exclude, k, "blend", expiry, ruled, hidden, users if usual else None)
        row, place = np.nonzero(found.items >= 0)
        columns = [
            pa.array(part, pa.string()).take(pa.array(row)),
            reader.items.column.take(pa.array(found.items[row, place])),
            pa.array(place + 1, pa.int32()),
            pa.array(found.scores[row, place], pa.float32()),
        ]
        tables.append(pa.Table.from_arrays(columns, schema=LISTS))
    return pa.concat_tables(tables)
