"""Blocked, expired and unpublished items never show: tried on the candidate's own reader, with items that it does show.

Hard checks see that no list holds what the data call blocked or expired; where the data call nothing so, they prove
nothing. Here the most shown items are withdrawn, a third blocked, a third expired and a third not yet published,
and every door is asked again. The instant is made up, like the withdrawal: rights go by the reader's clock and have
nothing to do with the moments of the test's events, which may be years back or positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nightreel.data.histories import IntArray
from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest, K, spread
from nightreel.evaluation.test_set import TestSet, ask
from nightreel.models.engine import BLEND
from nightreel.reader.reader import Reader

NAME = "blocked and expired items never show"
INSTANT = 1.0e9  # epoch seconds: the reader's now while it is asked
MOST = 20  # items withdrawn
ASKED = 5  # of them, how many are searched for, and have their neighbours asked for


def hidden_items(trial: TestSet, reader: Reader) -> BehavioralTest:
    """Share of answers (lists, one user's list, search, similar items, explanations) without a withdrawn item; all have
    to be."""
    some = spread(trial)
    lists = ask(_without(reader, np.empty(0, np.int64)), some, K, BLEND)
    shown, times = np.unique(lists[lists >= 0], return_counts=True)
    gone = shown[np.argsort(-times, kind="stable")][:MOST].astype(np.int64)
    if not len(gone):
        return BehavioralTest(NAME, None, 1.0, 0, "no list shows anything")
    without = _without(reader, gone)
    answers = [row.tolist() for row in ask(without, some, K, BLEND)] + _others(without, some, gone)
    bad = set(gone.tolist())
    faulty = sum(bool(bad.intersection(answer)) for answer in answers)
    figure = 1 - faulty / len(answers)
    text = (
        f"{len(gone):,} of the most shown items blocked, expired or not yet published: "
        f"{faulty:,} of {len(answers):,} answers show one"
    )
    return BehavioralTest(NAME, figure, 1.0, len(answers), text)


def _without(reader: Reader, gone: IntArray) -> Reader:
    """The reader at INSTANT with the items withdrawn: by turns blocked, expired at that very instant, published just
    after it. Whatever else it hides now stays hidden; without items withdrawn, that alone."""
    blocked = reader.standing().hidden.copy()
    published, expires = np.full(len(blocked), -np.inf), np.full(len(blocked), np.inf)
    blocked[gone[::3]] = True
    expires[gone[1::3]] = INSTANT
    published[gone[2::3]] = np.nextafter(INSTANT, np.inf)
    items = replace(reader.items, blocked=blocked, published=published, expires=expires)
    return replace(reader, items=items, now=lambda: INSTANT)


def _others(reader: Reader, trial: TestSet, gone: IntArray) -> list[list[int]]:
    """What the other doors answer with: the list of one history and what its reasons name, lists of strangers and of
    known users, one by one and many at once; search, similar items, and what is told of a withdrawn item."""
    ids, users = reader.items.ids, reader.user_ids[:ASKED].to_pylist()
    newest = [ids[item] for item in trial.histories[0][0].tolist()[-K:]]
    told = reader.recommend(history=newest, k=K, reasons=True)
    names = [[each.item_id for each in told], [item for each in told for why in each.reasons for item in why.items]]
    names.append([each.item_id for each in reader.recommend(k=K)])
    if not reader.config["pseudonymised"]:  # else nobody can be asked for by name without the key
        names += [[each.item_id for each in reader.recommend(user, k=K)] for user in users]
        names.append(reader.recommend_users(users, K)["item_id"].to_pylist())
    for item in gone[:ASKED].tolist():
        names.append([each.item_id for each in reader.search(reader.items.titles[item], K)])
        names.append([each.item_id for each in reader.similar(ids[item], K)])
        names.append(_told(reader, ids[item], newest))
    index = {name: number for number, name in enumerate(ids)}
    return [[index[name] for name in answer] for answer in names]


def _told(reader: Reader, item: str, history: list[str]) -> list[str]:
    """What an explanation names: its evidence; and the item itself, unless it is said to be left out."""
    told = reader.explain(item, history=history, exclude_seen=False)
    named = [each.item_id for each in told.evidence] + [each for why in told.reasons for each in why.items]
    return named if told.left_out else [item, *named]
