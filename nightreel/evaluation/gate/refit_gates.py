"""The label-free gates of the bundle that will be published: no test event is left to judge it by.

A bundle whose lists reach far fewer items than what it takes the place of, or that has nothing to show, or costs a
reader too much, is held. How far its lists are those of the version before is told: with time they change by nature.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nightreel.data.dataset import Dataset
from nightreel.data.histories import IntArray, ItemArray
from nightreel.evaluation.catalogue_mapping import RemappedRanker
from nightreel.evaluation.metrics.coverage import coverage
from nightreel.evaluation.metrics.overlap import overlap
from nightreel.evaluation.test_set import Ranker
from nightreel.reader.reader import Reader
from nightreel.settings import Refit

PROBED = 200  # users whose lists the gates look at
TIMED = 20  # single answers that latency is the least of


@dataclass(frozen=True)
class Gated:
    """figures: by name; reasons: why the bundle is not to be published, empty where it may be."""

    figures: Mapping[str, float]
    reasons: list[str]


def some_users(data: Dataset) -> IntArray:
    """[at most PROBED] users with a history, from all over the table."""
    users = np.flatnonzero(data.positives(None).lengths > 0)
    return users[np.unique(np.linspace(0, max(len(users) - 1, 0), min(PROBED, len(users))).astype(np.int64))]


def probed(ranker: Ranker, data: Dataset, users: IntArray) -> ItemArray:
    """[n, 10] items that the users would be shown tonight."""
    past = data.positives(None).take(users)
    exclude = data.seen(None).take(users) if data.exclude_seen else None
    return ranker.recommend_many(past, moments=np.full(len(users), data.data_until), exclude=exclude, k=10).items


def latency(reader: Reader, data: Dataset) -> float:
    """Fewest milliseconds of processor time of one list for one known user: what the bundle costs, not what else the
    machine does."""
    spent = []
    for user in some_users(data)[:TIMED]:
        start = time.process_time()
        probed(reader, data, np.array([user]))
        spent.append((time.process_time() - start) * 1000)
    return min(spent, default=0.0)


def gates(limit: Refit, data: Dataset, bundle: Path, before: Reader, hidden: Collection[str]) -> Gated:
    """The bundle beside what it takes the place of, asked for the same users about what may be shown today.

    before: the rehearsed candidate, or the version whose choices were refitted; hidden: ids of what may not be shown.
    """
    users, final = some_users(data), Reader.open_bundle(bundle, check=False).hiding(hidden)
    earlier = RemappedRanker(before.hiding(hidden), before.items.ids, data.item_ids)
    lists, theirs = probed(final, data, users), probed(earlier, data, users)
    figures = {
        "coverage": coverage(lists, data.n_items),
        "coverage before": coverage(theirs, data.n_items),
        "overlap with before": float(overlap(theirs, lists).mean()) if len(lists) else 1.0,
    }
    reasons = []
    if final.items.blocked.all():
        reasons.append("none of its items may be shown today")
    elif figures["coverage"] < limit.coverage_share * figures["coverage before"]:
        reasons.append(f"coverage fell to {figures['coverage']:.3f} from {figures['coverage before']:.3f}")
    return Gated(figures, reasons)


def too_costly(limit: Refit, latency_ms: float, size: float, memory: float) -> list[str]:
    """The reasons to hold. size, memory: MB on disk and in a reader's process."""
    return [
        reason
        for reason, beyond in (
            (f"a list takes longer than {limit.latency_ms:g} ms", latency_ms > limit.latency_ms),
            (f"the bundle takes {size:,.0f} MB (limit {limit.bundle_mb:,.0f})", size > limit.bundle_mb),
            (f"a reader takes more than {limit.memory_mb:,.0f} MB of memory", memory > limit.memory_mb),
        )
        if beyond
    ]
