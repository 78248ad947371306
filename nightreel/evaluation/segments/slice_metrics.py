"""All metrics of every slice: ranking metrics with intervals, and metrics beyond accuracy.

Time grows with slices x metrics x replicates. Slices are sets of rows: a user with rows in two slices counts in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nightreel.data.histories import FloatArray
from nightreel.evaluation.beyond_accuracy import CatalogueFacts, beyond_accuracy_metrics
from nightreel.evaluation.metrics.bootstrap import Interval, interval
from nightreel.evaluation.metrics.ranking import METRICS
from nightreel.evaluation.model_scores import GATE_K, ModelScores, by_user
from nightreel.evaluation.segments.slices import Slice
from nightreel.evaluation.test_set import POPULARITY, TestSet

Resample = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class SliceFigures:
    """The metrics of a slice. metrics: `recall@10` and so on; beyond_accuracy: those that could be measured."""

    by: str
    name: str
    users: int
    metrics: dict[str, Interval]
    beyond: dict[str, float]


def slice_rows(
    slices: Sequence[Slice],
    trials: Sequence[TestSet],
    scores: ModelScores,
    model: str,
    catalogue: CatalogueFacts,
    resample: Resample,
) -> list[dict[str, Any]]:
    """Return the result of `slice_figures` as JSON, for report.json."""
    return [asdict(each) for each in slice_figures(slices, trials, scores, model, catalogue, resample)]


def slice_figures(
    slices: Sequence[Slice],
    trials: Sequence[TestSet],
    scores: ModelScores,
    model: str,
    catalogue: CatalogueFacts,
    resample: Resample,
) -> list[SliceFigures]:
    """Compute all metrics of the slices that have rows.

    Args:
        slices: Over the rows of `scores`.
        trials: Test sets with the same rows, in order.
        scores: Of every model.
        model: The served model.
        catalogue: Facts for the metrics beyond accuracy.
        resample: The bootstrap over users.
    """
    names = [f"{name}@{GATE_K}" for name in METRICS]
    columns = np.column_stack([scores.values[model][name] for name in names])
    return [
        SliceFigures(
            each.by,
            each.name,
            len(np.unique(scores.users[each.rows])),
            dict(zip(names, _means(scores, columns, each, resample), strict=True)),
            _beyond(trials, scores, model, each, catalogue),
        )
        for each in slices
        if each.rows.any()
    ]


def _means(scores: ModelScores, columns: FloatArray, one: Slice, resample: Resample) -> list[Interval]:
    """Means over the slice's rows; the bootstrap resamples all users, as for every other interval."""
    inside = one.rows.astype(np.float64)[:, None]
    sums, _ = by_user(scores.users, np.hstack([inside, inside * columns]))
    count, *totals = resample(sums).T
    drawn, rows = count > 0, one.rows.sum()
    return [
        interval(float(columns[one.rows, n].sum() / rows), total[drawn] / count[drawn])
        for n, total in enumerate(totals)
    ]


def _beyond(
    trials: Sequence[TestSet], scores: ModelScores, model: str, one: Slice, catalogue: CatalogueFacts
) -> dict[str, float]:
    ends = np.cumsum([len(trial) for trial in trials])
    parts = [np.flatnonzero(part) for part in np.split(one.rows, ends[:-1])]
    lists = [scores.lists[name] for name in (model, POPULARITY) if name in scores.lists]
    asked = [[own[rows] for own, rows in zip(np.split(each, ends[:-1]), parts, strict=True)] for each in lists]
    popular = asked[1] if len(asked) > 1 else None
    return beyond_accuracy_metrics(
        [trial.take(rows) for trial, rows in zip(trials, parts, strict=True)], asked[0], popular, catalogue
    )
