"""Repeat consumption: separate NDCG for repeated and for new items, where lists may contain seen items.

Repeated items are evaluated on the lists as they are, new items on lists without seen items (`recommend --no-seen`,
`exclude_seen=True`). A model can be good at the first and poor at the second.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.evaluation.segments.cold_start import K, Row
from nightreel.evaluation.test_set import POPULARITY, Ranker, TestSet, ask
from nightreel.settings.evaluate import Evaluate


def repeat_consumption(question: TestSet, ranker: Ranker, model: str, settings: Evaluate, seed: int) -> list[Row]:
    """A row for repeated and for new items by model (the served one, popularity), on at most `cold_users` users; none
    if seen items are excluded anyway."""
    if question.exclude is not None:
        return []
    rng = np.random.default_rng(seed)
    truth, taken = question.truth, question.histories
    again = np.isin(truth.keys, taken.rows * truth.n_items + taken.items)
    parts = {
        "user, an item taken before": replace(question, truth=truth.where(again)),
        "user, a new item, without those taken": replace(question, truth=truth.where(~again), exclude=taken),
    }
    models = [name for name in (model, POPULARITY) if name in ranker.models]
    rows = []
    for what, part in parts.items():
        users = np.flatnonzero(part.truth.counts > 0).astype(np.int64)
        if len(users) > settings.cold_users:
            users = np.sort(rng.choice(users, settings.cold_users, replace=False))
        asked = part.take(users)
        for name in models if len(users) else []:
            values = per_user(ask(ranker, asked, K, name), asked.truth, (K,))[f"ndcg@{K}"]
            rows.append(Row(what, name, len(users), mean_interval(values, settings.bootstrap_replicates, rng)))
    return rows
