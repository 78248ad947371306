"""Paired comparisons for the report: challenger and champion metric by metric, and every member against the blend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nightreel.data.histories import FloatArray, IntArray, ItemArray
from nightreel.evaluation.champion import Comparison
from nightreel.evaluation.metrics.bootstrap import Difference, Interval, interval
from nightreel.evaluation.metrics.ranking import METRICS, per_user
from nightreel.evaluation.model_scores import GATE_K, GATE_METRIC, ModelScores, by_user
from nightreel.evaluation.segments.slice_tests import Resample, SliceScore, holm
from nightreel.evaluation.test_set import TestSet
from nightreel.models.engine import BLEND
from nightreel.settings.evaluate import Evaluate


@dataclass(frozen=True)
class Pair:
    """A metric of challenger and champion over the same users. difference: challenger minus champion, paired. All
    intervals are two-sided 95%."""

    metric: str
    challenger: Interval
    champion: Interval
    difference: Interval


@dataclass(frozen=True)
class Against:
    """A member's NDCG@10 relative to the blend's. upper: Holm-corrected upper bound, None if undefined."""

    model: str
    difference: Difference | None
    upper: float | None


def pairs(trials: Sequence[TestSet], lists: ItemArray, comparison: Comparison, resample: Resample) -> list[Pair]:
    """Compare every ranking metric at 10, or only NDCG@10 if the champion's lists are not stored.

    Args:
        trials: Test sets of the pooled rows.
        lists: [n, 10] the challenger's lists for these rows.
        comparison: The comparison with the champion.
        resample: The bootstrap over users.
    """
    if not len(comparison.rows):
        return []
    if comparison.lists is None:
        ours = {GATE_METRIC: comparison.challenger}
        theirs = {GATE_METRIC: comparison.champion}
    else:
        ours = _measured(trials, lists[comparison.rows], comparison.rows)
        theirs = _measured(trials, comparison.lists, comparison.rows)
    names = list(ours)
    columns = np.column_stack([*(ours[name] for name in names), *(theirs[name] for name in names)])
    sums, counts = by_user(comparison.users, columns)
    totals = resample(np.column_stack([sums, counts]))
    means, points = totals[:, :-1] / totals[:, -1:], columns.mean(axis=0)
    m = len(names)
    return [
        Pair(
            name,
            interval(points[n], means[:, n]),
            interval(points[m + n], means[:, m + n]),
            interval(points[n] - points[m + n], means[:, n] - means[:, m + n]),
        )
        for n, name in enumerate(names)
    ]


def against_blend(
    scores: ModelScores, difference: Callable[[IntArray, FloatArray, FloatArray], Difference | None], settings: Evaluate
) -> list[Against]:
    """Compare every other model with the blend, which is significantly better if `upper` is below 0.

    Args:
        scores: Of every model.
        difference: The gate's paired relative difference.
        settings: The settings of the evaluation.
    """
    blend = scores.values[BLEND][GATE_METRIC]
    nothing = Interval(0.0, 0.0, 0.0)
    found = [
        SliceScore("", model, scores.n_users, nothing, difference(scores.users, own[GATE_METRIC], blend), None, False)
        for model, own in scores.values.items()
        if model != BLEND
    ]
    return [Against(each.name, each.difference, each.upper) for each in holm(found, settings)]


def _measured(trials: Sequence[TestSet], lists: ItemArray, rows: IntArray) -> dict[str, FloatArray]:
    """metric@10 → [n] of lists [n, 10] for some of the pooled rows, in ascending order."""
    parts, start = [], 0
    for trial in trials:
        inside = (rows >= start) & (rows < start + len(trial))
        parts.append(per_user(lists[inside], trial.take(rows[inside] - start).truth, [GATE_K]))
        start += len(trial)
    names = [f"{metric}@{GATE_K}" for metric in METRICS]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
