"""Behavioural test: blocked, expired and unpublished items are never shown by the candidate's reader.

The hard checks verify that no list contains an item that the data mark as blocked or expired; if the data mark none,
they prove nothing. Here the most recommended items are withdrawn (a third blocked, a third expired, a third not yet
published) and every kind of request is repeated. The time of the requests is synthetic: rights follow the reader's
clock and not the times of the test events, which may be years ago or positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nightreel.data.histories import IntArray
from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest, K, spread
from nightreel.evaluation.test_set import TestSet, ask
from nightreel.models.engine import BLEND
from nightreel.reader.reader import Reader

NAME = "blocked and expired items are never shown"
INSTANT = 1.0e9  # epoch seconds: the reader's "now" during the test
MOST = 20  # items withdrawn
ASKED = 5  # of them, how many are used in search, similar and explain requests


def hidden_items(trial: TestSet, reader: Reader) -> BehavioralTest:
    """Run the test: the share of responses (lists, search, similar items, explanations) without a withdrawn item,
    which must be 1."""
    some = spread(trial)
    lists = ask(_without(reader, np.empty(0, np.int64)), some, K, BLEND)
    shown, times = np.unique(lists[lists >= 0], return_counts=True)
    gone = shown[np.argsort(-times, kind="stable")][:MOST].astype(np.int64)
    if not len(gone):
        return BehavioralTest(NAME, None, 1.0, 0, "all lists are empty")
    without = _without(reader, gone)
    answers = [row.tolist() for row in ask(without, some, K, BLEND)] + _others(without, some, gone)
    bad = set(gone.tolist())
    faulty = sum(bool(bad.intersection(answer)) for answer in answers)
    figure = 1 - faulty / len(answers)
    text = (
        f"{len(gone):,} of the most recommended items were blocked, expired or unpublished: "
        f"{faulty:,} of {len(answers):,} responses show one"
    )
    return BehavioralTest(NAME, figure, 1.0, len(answers), text)


def _without(reader: Reader, gone: IntArray) -> Reader:
    """The reader at INSTANT with the items withdrawn: in turn blocked, expired at that instant, published just after
    it. Items that it hides already stay hidden."""
    blocked = reader.standing().hidden.copy()
    published, expires = np.full(len(blocked), -np.inf), np.full(len(blocked), np.inf)
    blocked[gone[::3]] = True
    expires[gone[1::3]] = INSTANT
    published[gone[2::3]] = np.nextafter(INSTANT, np.inf)
    items = replace(reader.items, blocked=blocked, published=published, expires=expires)
    return replace(reader, items=items, now=lambda: INSTANT)


def _others(reader: Reader, trial: TestSet, gone: IntArray) -> list[list[int]]:
    """The items in the responses to the other requests: the list of one history and the items in its reasons, lists of
    unknown and known users, one by one and in a batch; search, similar items, explanations of withdrawn items."""
    ids, users = reader.items.ids, reader.user_ids[:ASKED].to_pylist()
    newest = [ids[item] for item in trial.histories[0][0].tolist()[-K:]]
    results = reader.recommend(history=newest, k=K, reasons=True)
    reasons = [item for each in results for why in each.reasons for item in why.items]
    names = [[each.item_id for each in results], reasons]
    names.append([each.item_id for each in reader.recommend(k=K)])
    if not reader.config["pseudonymised"]:  # pseudonymised users can't be requested by id without the key
        names += [[each.item_id for each in reader.recommend(user, k=K)] for user in users]
        names.append(reader.recommend_users(users, K)["item_id"].to_pylist())
    for item in gone[:ASKED].tolist():
        names.append([each.item_id for each in reader.search(reader.items.titles[item], K)])
        names.append([each.item_id for each in reader.similar(ids[item], K)])
        names.append(_explained(reader, ids[item], newest))
    index = {name: number for number, name in enumerate(ids)}
    return [[index[name] for name in answer] for answer in names]


def _explained(reader: Reader, item: str, history: list[str]) -> list[str]:
    """The items that an explanation names: its evidence and, unless reported as excluded, the item itself."""
    result = reader.explain(item, history=history, exclude_seen=False)
    named = [each.item_id for each in result.evidence] + [each for why in result.reasons for each in why.items]
    return named if result.left_out else [item, *named]
