"""Label-free gates for the final bundle, which is trained on every event, so that no test event is left.

A bundle is held if its coverage fell too far below that of the version it replaces, if it has nothing to show, or if
it costs a reader too much. Its overlap with that version is reported only, because lists change over time by nature.
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
from nightreel.settings.evaluate import Refit

PROBED = 200  # users whose lists the gates compare
TIMED = 20  # single requests; the latency is the fastest of them


@dataclass(frozen=True)
class Gated:
    """The gates' result. figures: by name; reasons: why the bundle is held, empty if it may be published."""

    figures: Mapping[str, float]
    reasons: list[str]


def some_users(data: Dataset) -> IntArray:
    """[at most PROBED] users with a history, evenly spaced over the table."""
    users = np.flatnonzero(data.positives(None).lengths > 0)
    return users[np.unique(np.linspace(0, max(len(users) - 1, 0), min(PROBED, len(users))).astype(np.int64))]


def probed(ranker: Ranker, data: Dataset, users: IntArray) -> ItemArray:
    """[n, 10] items that the users would get tonight."""
    past = data.positives(None).take(users)
    exclude = data.seen(None).take(users) if data.exclude_seen else None
    return ranker.recommend_many(past, moments=np.full(len(users), data.data_until), exclude=exclude, k=10).items


def latency(reader: Reader, data: Dataset) -> float:
    """Milliseconds of processor time for one user's list: the fastest of several, to exclude other load."""
    spent = []
    for user in some_users(data)[:TIMED]:
        start = time.process_time()
        probed(reader, data, np.array([user]))
        spent.append((time.process_time() - start) * 1000)
    return min(spent, default=0.0)


def gates(limit: Refit, data: Dataset, bundle: Path, before: Reader, hidden: Collection[str]) -> Gated:
    """Compare the bundle with the version it replaces, for the same users and the items that may be shown today.

    Args:
        limit: The thresholds.
        data: The validated data.
        bundle: Folder of the final bundle.
        before: The rehearsed candidate, or the version whose choices were refitted.
        hidden: Ids of items that may not be shown.
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
    """The reasons to hold because of cost. size, memory: MB on disk and in a reader's process."""
    return [
        reason
        for reason, beyond in (
            (f"a list takes longer than {limit.latency_ms:g} ms", latency_ms > limit.latency_ms),
            (f"the bundle takes {size:,.0f} MB (limit {limit.bundle_mb:,.0f})", size > limit.bundle_mb),
            (f"a reader needs more than {limit.memory_mb:,.0f} MB of memory", memory > limit.memory_mb),
        )
        if beyond
    ]
