"""Blocked and expired items never show: tried on the candidate's own reader, with items that its lists do show.

Hard checks see that no list holds what the data call blocked or expired; where the data call nothing so, they prove
nothing. Here the most shown items are withdrawn, half of them blocked and half expired, and everything is asked again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tasks.data.histories import IntArray
from tasks.evaluation.behaviour import Behaviour, K, spread
from tasks.evaluation.trial import Trial, ask
from tasks.index.reader import Reader
from tasks.models.engine import BLEND

NAME = "blocked and expired items never show"
MOST = 20  # items withdrawn
ASKED = 5  # of them, how many are searched for, and have their neighbours asked for


def withdrawn(trial: Trial, reader: Reader) -> Behaviour:
    """Share of answers (lists, one user's list, search, similar items) without a withdrawn item; all have to be."""
    some = spread(trial)
    lists = ask(reader, some, K, BLEND)
    shown, times = np.unique(lists[lists >= 0], return_counts=True)
    gone = shown[np.argsort(-times, kind="stable")][:MOST].astype(np.int64)
    if not len(gone):
        return Behaviour(NAME, None, 1.0, 0, "no list shows anything")
    without = _without(reader, gone, float(some.moments.min()))
    answers = [row.tolist() for row in ask(without, some, K, BLEND)] + _others(without, some, gone)
    bad = set(gone.tolist())
    faulty = sum(bool(bad.intersection(answer)) for answer in answers)
    figure = 1 - faulty / len(answers)
    how = "blocked" if without.clock.ordered else "blocked or expired"
    text = f"{len(gone):,} of the most shown items {how}: {faulty:,} of {len(answers):,} answers show one"
    return Behaviour(NAME, figure, 1.0, len(answers), text)


def _without(reader: Reader, gone: IntArray, moment: float) -> Reader:
    """The reader with every other item blocked and the rest expired at the moment; all blocked where positions stand
    for times, in which nothing expires."""
    blocked, expires = reader.items.blocked.copy(), reader.items.expires.copy()
    late = gone[:0] if reader.clock.ordered else gone[1::2]
    blocked[np.setdiff1d(gone, late)] = True
    expires[late] = np.minimum(expires[late], moment)
    return replace(reader, items=replace(reader.items, blocked=blocked, expires=expires))


def _others(reader: Reader, trial: Trial, gone: IntArray) -> list[list[int]]:
    """What one user's list, search and similar items answer with."""
    ids = reader.items.ids
    newest = [ids[item] for item in trial.histories[0][0].tolist()[-K:]]
    names = [[each.item_id for each in reader.recommend(history=newest, k=K)]]
    for item in gone[:ASKED].tolist():
        names.append([each.item_id for each in reader.search(reader.items.titles[item], K)])
        names.append([each.item_id for each in reader.similar(ids[item], K)])
    index = {name: number for number, name in enumerate(ids)}
    return [[index[name] for name in answer] for answer in names]
