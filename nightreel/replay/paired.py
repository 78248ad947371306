"""Summary over all nights of a replay: means and paired differences, with intervals by bootstrap over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.histories import FloatArray
from nightreel.evaluation.metrics.bootstrap import Interval, interval, replicate_totals
from nightreel.evaluation.segments.reach_curve import ReachPoint, reach_curve
from nightreel.replay.night_scores import RANKERS, REPLICATES, SEED, SERVED


@dataclass(frozen=True)
class Overall:
    """Means over the nights, with equal weight for every night.

    nights, users, rows: number of nights with a served version, of their users, and of user-nights; means: by ranker,
    without FIRST_RECIPE where it was not wanted; differences: the served version minus each other one; new_items: how
    far new items reach against old ones, by their events. Intervals are two-sided 95%, by a bootstrap over users (with
    all their nights), so they describe the variation between users, and not between nights; those of new items are by
    item.
    """

    nights: int
    users: int
    rows: int
    means: dict[str, Interval]
    differences: dict[str, Interval]
    new_items: Sequence[ReachPoint] = ()


def overall(judged: pa.Table, reach: pa.Table | None = None) -> Overall | None:
    """Summarise the scores of all users over all nights.

    Args:
        judged: Rows of `NightScores.rows`, of any nights.
        reach: Rows of item_reach, of the same nights; None if no night has any.

    Returns:
        The summary; None if no night had a served version.
    """
    judged = judged.filter(pc.is_valid(judged[SERVED]))
    if not judged.num_rows:
        return None
    night, n_nights = _numbered(judged["night"])
    user, n_users = _numbered(judged["user_id"])
    rankers = [name for name in RANKERS if name in judged.column_names]
    figures = np.column_stack([judged[name].to_numpy() for name in rankers] + [np.ones(judged.num_rows)])
    columns = np.zeros((n_users, n_nights, figures.shape[1]))
    np.add.at(columns, (user, night), figures)
    totals = replicate_totals(columns.reshape(n_users, -1), REPLICATES, np.random.default_rng(SEED)).reshape(
        REPLICATES, n_nights, -1
    )
    means, points = _means(totals), _means(columns.sum(axis=0)[None])[0]
    at = dict(zip(rankers, range(len(rankers)), strict=True))
    return Overall(
        n_nights,
        n_users,
        judged.num_rows,
        {name: interval(points[column], means[:, column]) for name, column in at.items()},
        {
            name: interval(points[at[SERVED]] - points[column], means[:, at[SERVED]] - means[:, column])
            for name, column in at.items()
            if name != SERVED
        },
        reach_curve(reach, REPLICATES, np.random.default_rng(SEED)) if reach is not None else (),
    )


def _means(totals: FloatArray) -> FloatArray:
    """[r, rankers] mean of the nights' means, from [r, nights, rankers and a count]; a replicate skips nights without
    a sampled user."""
    counts = totals[:, :, -1:]
    nightly = totals[:, :, :-1] / np.maximum(counts, 1)
    means: FloatArray = nightly.sum(axis=1) / np.maximum((counts > 0).sum(axis=1), 1)
    return means


def _numbered(cells: pa.ChunkedArray) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """([n] index of each row's value, number of distinct values)."""
    coded = cells.combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), len(coded.dictionary)
