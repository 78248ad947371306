"""Cold start: what users with few events and items without any get, beside a control that knows no user.

Users: the trial's users are asked again with only their last n events known (n = 0 is a visitor), and what they have
really seen stays excluded, so that every n has the same possible answers. Items: where the truth holds items that no
training event names, these are ranked among themselves by content; the control ranks them for everybody alike, by
nearness to the mean of all events' vectors (much of what content seems to know of a user is what everybody likes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, ItemArray
from nightreel.evaluation.metrics.bootstrap import Interval, mean_interval
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.evaluation.test_set import Ranker, TestSet, ask
from nightreel.settings import Evaluate

EVENTS_KNOWN = (0, 1, 3, 5)
K = 10
CONTENT_DECAY = 10.0  # events: the recent past that a user's content profile describes
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """NDCG@10 of one model for one kind of beginning. what: `user, 3 events known` or `item without events`."""

    what: str
    model: str
    users: int
    ndcg: Interval


def cold_start(
    question: TestSet, ranker: Ranker, model: str, trained: Histories, vectors: Vectors, settings: Evaluate, seed: int
) -> list[Row]:
    """New users by `model` and by popularity, new items by content and by the control, of `cold_users` at the most.
    trained: what was learned from; vectors: [n_items, d]."""
    rng, replicates = np.random.default_rng(seed), settings.bootstrap_replicates
    if len(question) > settings.cold_users:
        question = question.take(np.sort(rng.choice(len(question), settings.cold_users, replace=False)))
    asked = [name for name in (model, "popularity") if name in ranker.models]
    return [
        *new_users(question, ranker, asked, replicates, rng),
        *new_items(question, trained, vectors, replicates, rng),
    ]


def lines(rows: Sequence[Row]) -> str:
    """For the terminal."""
    head = "cold start: NDCG@10 [95% interval]"
    if not any(row.what.startswith("item") for row in rows):
        head += " (no test event names an item without events: new items are not measured)"
    return "\n".join(
        [
            head,
            *(
                f"  {row.what:<36}{row.model:<12}{row.ndcg.point:.4f}  {row.ndcg.low:.4f}–{row.ndcg.high:.4f}"
                f"  {row.users:>7,} users"
                for row in rows
            ),
        ]
    )


def last_events(histories: Histories, most: int) -> Histories:
    """Each row's last `most` events."""
    from_end = np.repeat(histories.indptr[1:], histories.lengths) - np.arange(len(histories.items))
    return histories.where(from_end <= most)


def new_users(
    question: TestSet, ranker: Ranker, models: Sequence[str], replicates: int, rng: np.random.Generator
) -> list[Row]:
    """One row for each number of known events and model; only users with more events than that are asked."""
    rows = []
    for known in EVENTS_KNOWN:
        enough = question.take(np.flatnonzero(question.histories.lengths > known).astype(np.int64))
        if not len(enough):
            continue
        asked = replace(enough, histories=last_events(enough.histories, known))
        for model in models:
            values = per_user(ask(ranker, asked, K, model), asked.truth, (K,))[f"ndcg@{K}"]
            what = f"user, {known} event{'' if known == 1 else 's'} known"
            rows.append(Row(what, model, len(values), mean_interval(values, replicates, rng)))
    return rows


def new_items(
    question: TestSet, trained: Histories, vectors: Vectors, replicates: int, rng: np.random.Generator
) -> list[Row]:
    """Content and its control over items that `trained` does not hold; no row where no truth names one."""
    unseen = np.bincount(trained.items, minlength=len(vectors)) == 0
    unseen &= vectors.any(axis=1)
    row, item = np.divmod(question.truth.keys, question.truth.n_items)
    cold = unseen[item]
    users = np.unique(row[cold])
    if not len(users):
        return []
    truth, pool = question.truth.where(cold).take(users), np.flatnonzero(unseen)
    profiles = np.stack([_profile(question.histories[int(user)][0], vectors) for user in users])
    everybody = vectors[trained.items].mean(axis=0, dtype=np.float64).astype(np.float32)
    control = np.broadcast_to(everybody, profiles.shape)
    return [
        Row("item without events, among its like", model, len(users), mean_interval(values, replicates, rng))
        for model, asked in (("content", profiles), ("control", control))
        for values in [per_user(_nearest(asked, vectors, pool), truth, (K,))[f"ndcg@{K}"]]
    ]


def _profile(items: ItemArray, vectors: Vectors) -> Vectors:
    weights = np.exp(-np.arange(len(items))[::-1] / CONTENT_DECAY).astype(np.float32)
    return np.asarray(weights @ vectors[items], np.float32)


def _nearest(profiles: FloatArray | Vectors, vectors: Vectors, pool: npt.NDArray[np.int64]) -> ItemArray:
    """[n, K] items of the pool by their product with each profile, ties to the lower index."""
    scores = profiles @ vectors[pool].T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return pool[order].astype(np.int32)
