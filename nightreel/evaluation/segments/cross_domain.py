"""Cross-domain recommendation: recommend one medium, such as music, from a history in another, such as video.

The test users' histories are reduced to one medium, only items of the other may be recommended, and the truth is what
users chose there. The baseline is popularity within the recommended medium, which needs no history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.evaluation.segments.cold_start import K, Row
from nightreel.evaluation.test_set import POPULARITY, Ranker, TestSet, ask
from nightreel.settings.evaluate import Evaluate

CONTENT = "content_knn"
MOST_PAIRS = 6
"""Largest number of pairs of media measured; those with the most users are chosen."""
CELLS = 2**22
"""Largest number of (user, item) pairs excluded at a time, which bounds memory."""
Media = Sequence[str | None]


def cross_domain(
    question: TestSet, ranker: Ranker, model: str, media: Media, settings: Evaluate, seed: int
) -> tuple[list[Row], str]:
    """Evaluate each pair of media and model (the served one, content kNN, popularity), on at most `cold_users` users.

    Args:
        question: The test set.
        ranker: The candidate.
        model: The served model.
        media: [n_items] media type, None if unknown.
        settings: The settings of the evaluation.
        seed: Of the sample.

    Returns:
        The rows, and the reason if there are none, else an empty text.
    """
    if len({medium for medium in media if medium}) < 2:
        return [], "the catalogue has only one medium"
    rng = np.random.default_rng(seed)
    models = list(dict.fromkeys(name for name in (model, CONTENT, POPULARITY) if name in ranker.models))
    rows = []
    for (told, wanted), users in _pairs(question, media):
        some = users
        if len(some) > settings.cold_users:
            some = np.sort(rng.choice(some, settings.cold_users, replace=False))
        asked, other = narrowed(question.take(some), media, told, wanted)
        for name in models:
            values = _ndcg(ranker, asked, other, name)
            what = f"user, {wanted} from {told} alone"
            rows.append(Row(what, name, len(values), mean_interval(values, settings.bootstrap_replicates, rng)))
    return rows, "" if rows else "no test user has a history in one medium and a test item in another"


def _pairs(question: TestSet, media: Media) -> list[tuple[tuple[str, str], IntArray]]:
    """(source medium, target medium) → rows of users with history and test items in these; most users first."""
    row, item = np.divmod(question.truth.keys, question.truth.n_items)
    wanted = {(int(r), media[i]) for r, i in zip(row, item.tolist(), strict=True)}
    told = {(int(r), media[i]) for r, i in zip(question.histories.rows, question.histories.items.tolist(), strict=True)}
    media_of: dict[int, list[str]] = {}
    for user, medium in told:
        if medium:
            media_of.setdefault(user, []).append(medium)
    found: dict[tuple[str, str], list[int]] = {}
    for user, medium in wanted:
        for other in media_of.get(user, []) if medium else []:
            if other != medium:
                found.setdefault((other, str(medium)), []).append(user)
    counts = Counter({pair: len(users) for pair, users in found.items()})
    chosen = sorted(counts, key=lambda pair: (-counts[pair], pair))[:MOST_PAIRS]
    return [(pair, np.array(sorted(found[pair]), np.int64)) for pair in chosen]


def narrowed(question: TestSet, media: Media, told: str, wanted: str) -> tuple[TestSet, IntArray]:
    """The test set with histories in `told` and truth in `wanted` only, and the items outside `wanted`."""
    of = np.array([medium or "" for medium in media])
    truth, n = question.truth, question.truth.n_items
    histories = question.histories.where(of[question.histories.items] == told)
    asked = replace(question, histories=histories, truth=truth.where(of[truth.keys % n] == wanted))
    return asked, np.flatnonzero(of != wanted).astype(np.int64)


def _ndcg(ranker: Ranker, question: TestSet, other: IntArray, model: str) -> FloatArray:
    """[n] NDCG@10 without the `other` items, computed in blocks."""
    size = max(1, CELLS // max(len(other), 1))
    parts = []
    for start in range(0, len(question), size):
        part = question.take(np.arange(start, min(start + size, len(question)), dtype=np.int64))
        part = replace(part, exclude=_and(part.exclude, other, len(part)))
        parts.append(per_user(ask(ranker, part, K, model), part.truth, (K,))[f"ndcg@{K}"])
    return np.concatenate(parts)


def _and(exclude: Histories | None, other: IntArray, n: int) -> Histories:
    """The excluded items together with the `other` items, for each of n rows."""
    users, items = np.repeat(np.arange(n), len(other)), np.tile(other, n)
    if exclude is not None:
        users, items = np.concatenate([users, exclude.rows]), np.concatenate([items, exclude.items])
    return Histories.from_events(users, items, np.zeros(len(users)), n)
