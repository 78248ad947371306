"""NDCG@10 of every slice, its paired difference from the champion, and the test for regressions.

With many slices, some seem worse by chance: Holm's procedure (1979) keeps the probability of any false alarm at
1 - slice_confidence. All slices share one set of bootstrap samples of users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.metrics.bootstrap import Difference, Interval, interval, relative_difference
from nightreel.evaluation.model_scores import by_user
from nightreel.evaluation.segments.slices import Slice
from nightreel.settings.evaluate import Evaluate

Resample = Callable[[FloatArray], FloatArray]
"""Columns [u, m], one row per distinct user → their sums in every replicate [replicates, m]."""


@dataclass(frozen=True)
class SliceScore:
    """A slice's result. difference: None without a champion, or if it scores 0; upper: Holm-corrected upper bound of
    the difference, None if the slice was not tested (few users, or no difference); broken: whether the loss is
    significant and larger than the margin."""

    by: str
    name: str
    users: int
    ndcg: Interval
    difference: Difference | None
    upper: float | None
    broken: bool


@dataclass(frozen=True)
class Gap:
    """NDCG@10 of the best slice minus that of the worst, among slices of one kind with enough users."""

    by: str
    best: str
    worst: str
    gap: Interval


def score_slices(
    slices: Sequence[Slice],
    users: IntArray,
    ours: FloatArray,
    theirs: FloatArray | None,
    settings: Evaluate,
    resample: Resample,
) -> tuple[list[SliceScore], list[Gap]]:
    """Compute the slices' scores and the gaps between them.

    Args:
        slices: Over n rows.
        users: [n] user of each row.
        ours: [n] NDCG@10 of the challenger.
        theirs: [n] NDCG@10 of the champion; None if there is none.
        settings: The settings of the evaluation.
        resample: The bootstrap over users.
    """
    filled = [each for each in slices if each.rows.any()]
    if not filled:
        return [], []
    masks = np.column_stack([each.rows for each in filled]).astype(np.float64)
    parts = [masks, masks * ours[:, None]] + ([] if theirs is None else [masks * theirs[:, None]])
    sums, _ = by_user(users, np.hstack(parts))
    totals = resample(sums)
    count, own, *other = np.split(totals, len(parts), axis=1)
    points = np.split(sums.sum(axis=0), len(parts))
    people = (np.split(sums, len(parts), axis=1)[0] > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means, rivals = own / count, [each / count for each in other]
    found = []
    for n, each in enumerate(filled):
        drawn = count[:, n] > 0
        ndcg = interval(float(points[1][n] / points[0][n]), means[drawn, n])
        pair = None
        if rivals:
            both = ndcg.point, float(points[2][n] / points[0][n])
            pair = relative_difference(
                both,
                (means[drawn, n], rivals[0][drawn, n]),
                int(people[n]),
                confidence=settings.confidence,
                margin=settings.margin,
            )
        found.append(SliceScore(each.by, each.name, int(people[n]), ndcg, pair, None, False))
    return holm(found, settings), _gaps(found, means, settings.slice_users)


def holm(scores: Sequence[SliceScore], settings: Evaluate) -> list[SliceScore]:
    """Add Holm-corrected upper bounds, by a normal approximation with the bootstrap's standard deviation.

    Steps down from the most significant loss: the j-th of m slices is tested at (1 - slice_confidence) / (m - j). The
    first loss that is not significant ends the procedure; the remaining slices keep that step's level.
    """
    tested = [n for n, each in enumerate(scores) if each.difference and each.users >= settings.slice_users]
    tested.sort(key=lambda n: _surety(scores[n].difference))
    result, level, going = list(scores), 0.0, True
    for j, n in enumerate(tested):
        difference = scores[n].difference
        assert difference is not None
        if going:
            level = (1 - settings.slice_confidence) / (len(tested) - j)
        upper = difference.point + NormalDist().inv_cdf(1 - level) * difference.deviation
        going = going and upper < 0
        broken = going and difference.point < -settings.margin
        each = scores[n]
        result[n] = SliceScore(each.by, each.name, each.users, each.ndcg, difference, upper, broken)
    return result


def _surety(difference: Difference | None) -> float:
    """The difference in standard deviations; the most negative is the most significant loss."""
    assert difference is not None
    if difference.deviation > 0:
        return difference.point / difference.deviation
    return float(np.sign(difference.point)) * np.inf if difference.point else 0.0


def _gaps(found: Sequence[SliceScore], means: FloatArray, least_users: int) -> list[Gap]:
    gaps = []
    for by in dict.fromkeys(each.by for each in found):
        rows = [n for n, each in enumerate(found) if each.by == by and each.users >= least_users]
        if len(rows) < 2:
            continue
        best = max(rows, key=lambda n: found[n].ndcg.point)
        worst = min(rows, key=lambda n: found[n].ndcg.point)
        apart = means[:, best] - means[:, worst]
        point = found[best].ndcg.point - found[worst].ndcg.point
        gaps.append(Gap(by, found[best].name, found[worst].name, interval(point, apart[np.isfinite(apart)])))
    return gaps
