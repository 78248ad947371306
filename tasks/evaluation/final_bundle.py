"""The label-free gates of the bundle that will be published: no test event is left to judge it by.

Weights that are unlike those that were judged are not published; what was judged is (see tasks.refit). A bundle that
costs a reader too much is held.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.data.dataset import Dataset
from tasks.evaluation.coverage import coverage
from tasks.evaluation.overlap import overlap
from tasks.index.reader import Reader
from tasks.models.drift import stability
from tasks.models.positions import Positions
from tasks.settings import Refit
from tasks.stage import read_json

PROBED = 200  # users whose lists the gates look at
DRIFT_USERS = 100  # fewer say nothing of a feature's distribution
TIMED = 20  # single answers that latency is the least of


@dataclass(frozen=True)
class Gated:
    """unlike: how the weights differ from those that were judged, empty where they pass."""

    figures: Mapping[str, float]
    unlike: list[str]


def some_users(data: Dataset) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[at most PROBED] users with a history, from all over the table."""
    users = np.flatnonzero(data.positives(None).lengths > 0)
    return users[np.unique(np.linspace(0, max(len(users) - 1, 0), min(PROBED, len(users))).astype(np.int64))]


def probed(reader: Reader, data: Dataset, users: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
    """[n, 10] items that the users would be shown tonight, as published."""
    past = data.positives(None).take(users)
    exclude = data.seen(None).take(users) if data.exclude_seen else None
    return reader.recommend_many(past, exclude=exclude, k=10).items


def latency(reader: Reader, data: Dataset) -> float:
    """Fewest milliseconds of processor time of one list for one known user: what the bundle costs, not what else the
    machine does."""
    spent = []
    for user in some_users(data)[:TIMED]:
        start = time.process_time()
        probed(reader, data, np.array([user]))
        spent.append((time.process_time() - start) * 1000)
    return min(spent, default=0.0)


def gates(limit: Refit, data: Dataset, bundle: Path, candidate: Reader, reference: Path) -> Gated:
    """The bundle beside the candidate, asked for the same users; reference: of tasks.models.drift."""
    users, final = some_users(data), Reader.open_bundle(bundle, check=False)
    lists, before = probed(final, data, users), probed(candidate, data, users)
    past = data.positives(None).take(users)
    asked = Positions(past, past.last_times, past, users)
    drift = stability(read_json(reference), final.engine, asked) if len(users) >= DRIFT_USERS else {}
    worst = max(drift, key=lambda name: drift[name], default="")
    figures = {
        "coverage": coverage(lists, data.n_items),
        "candidate coverage": coverage(before, data.n_items),
        "overlap with candidate": float(overlap(lists, before).mean()) if len(lists) else 1.0,
        "largest feature psi": drift.get(worst, 0.0),
    }
    reasons = []
    if figures["coverage"] < limit.coverage_share * figures["candidate coverage"]:
        reasons.append(f"coverage fell to {figures['coverage']:.3f} from {figures['candidate coverage']:.3f}")
    if figures["overlap with candidate"] < limit.overlap:
        reasons.append(f"lists overlap with the candidate's by {figures['overlap with candidate']:.2f} only")
    if figures["largest feature psi"] > limit.drift_psi:
        reasons.append(f"feature {worst} drifted (PSI {drift[worst]:.2f}, limit {limit.drift_psi})")
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
