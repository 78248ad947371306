"""Cold start: quality for users with few events and for items without events, against unpersonalised baselines.

Users: recommendations for the test users are repeated with only their last n events known (n = 0: a new visitor). Seen
items stay excluded, so that the candidates are the same for every n. Items: test items without training events are
ranked among themselves by content. The control ranks them for all users alike, by similarity to the mean vector of all
events, because much of what a content profile captures is what everybody likes.
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
from nightreel.settings.evaluate import Evaluate

EVENTS_KNOWN = (0, 1, 3, 5)
K = 10
CONTENT_DECAY = 10.0  # events: the recent past that a user's content profile describes
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """NDCG@10 of one model on one cold-start segment. what: such as `user, 3 events known`."""

    what: str
    model: str
    users: int
    ndcg: Interval


def cold_start(
    question: TestSet, ranker: Ranker, model: str, trained: Histories, vectors: Vectors, settings: Evaluate, seed: int
) -> list[Row]:
    """Evaluate new users (with `model` and popularity) and new items (with content and a control).

    At most `settings.cold_users` users are sampled.

    Args:
        question: The test set.
        ranker: The candidate.
        model: The served model.
        trained: The events that it was trained on.
        vectors: [n_items, d] content vectors.
        settings: The settings of the evaluation.
        seed: Of the sample.
    """
    rng, replicates = np.random.default_rng(seed), settings.bootstrap_replicates
    if len(question) > settings.cold_users:
        question = question.take(np.sort(rng.choice(len(question), settings.cold_users, replace=False)))
    asked = [name for name in (model, "popularity") if name in ranker.models]
    return [
        *new_users(question, ranker, asked, replicates, rng),
        *new_items(question, trained, vectors, replicates, rng),
    ]


def lines(rows: Sequence[Row]) -> str:
    """Format the rows for the terminal."""
    head = "cold start: NDCG@10, 95% interval"
    if not any(row.what.startswith("item") for row in rows):
        head += " (new items are not measured: every test item has training events)"
    return "\n".join(
        [
            head,
            *(
                f"  {row.what:<38}{row.model:<14}{row.ndcg.point:.4f}  {row.ndcg.low:.4f}–{row.ndcg.high:.4f}"
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
    """One row for each number of known events and model, over users with more events than that."""
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
    """Content and its control on items without training events; no row if no test event is about one."""
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
        Row("item without events, among such items", model, len(users), mean_interval(values, replicates, rng))
        for model, asked in (("content", profiles), ("same for all", control))
        for values in [per_user(_nearest(asked, vectors, pool), truth, (K,))[f"ndcg@{K}"]]
    ]


def _profile(items: ItemArray, vectors: Vectors) -> Vectors:
    weights = np.exp(-np.arange(len(items))[::-1] / CONTENT_DECAY).astype(np.float32)
    return np.asarray(weights @ vectors[items], np.float32)


def _nearest(profiles: FloatArray | Vectors, vectors: Vectors, pool: npt.NDArray[np.int64]) -> ItemArray:
    """[n, K] items of the pool by their dot product with each profile; ties go to the lower index."""
    scores = profiles @ vectors[pool].T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return pool[order].astype(np.int32)
