"""All nights of a replay together: means, and paired differences with their intervals, by user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.histories import FloatArray
from nightreel.evaluation.metrics.bootstrap import Interval, interval, replicate_totals
from nightreel.replay.night_scores import RANKERS, SERVED

REPLICATES = 2_000
SEED = 20_261_130


@dataclass(frozen=True)
class Overall:
    """The mean over the nights, each night counting alike.

    nights, users, rows: that stand behind it: nights on which something was served and judged, the users of these, and
    their user-nights; means: by ranker; differences: what is served minus each baseline. Intervals are of 95%,
    two-sided, with users drawn anew (with all their nights), so that they tell how far other users would differ, and
    not how far other nights would.
    """

    nights: int
    users: int
    rows: int
    means: dict[str, Interval]
    differences: dict[str, Interval]


def overall(judged: pa.Table) -> Overall | None:
    """Pair the figures of all judged users over all nights.

    Args:
        judged: Rows of `Judgement.rows`, of any nights.

    Returns:
        The summary; None where no night was served and judged.
    """
    judged = judged.filter(pc.is_valid(judged[SERVED]))
    if not judged.num_rows:
        return None
    night, n_nights = _numbered(judged["night"])
    user, n_users = _numbered(judged["user_id"])
    figures = np.column_stack([judged[name].to_numpy() for name in RANKERS] + [np.ones(judged.num_rows)])
    columns = np.zeros((n_users, n_nights, figures.shape[1]))
    np.add.at(columns, (user, night), figures)
    totals = replicate_totals(columns.reshape(n_users, -1), REPLICATES, np.random.default_rng(SEED)).reshape(
        REPLICATES, n_nights, -1
    )
    means, points = _means(totals), _means(columns.sum(axis=0)[None])[0]
    at = dict(zip(RANKERS, range(len(RANKERS)), strict=True))
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
    )


def _means(totals: FloatArray) -> FloatArray:
    """[r, rankers] from [r, nights, rankers and a count]: the mean of the nights' means; a night of which no user was
    drawn is left out of that replicate."""
    counts = totals[:, :, -1:]
    nightly = totals[:, :, :-1] / np.maximum(counts, 1)
    means: FloatArray = nightly.sum(axis=1) / np.maximum((counts > 0).sum(axis=1), 1)
    return means


def _numbered(cells: pa.ChunkedArray) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """([n] the number of each row's value, how many values there are)."""
    coded = cells.combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), len(coded.dictionary)
