"""The report's data beyond the verdict: metrics of every model, group exposure, the long tail, sample users.

A deterministic output of evaluate; the HTML page is made from it outside DVC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from nightreel.data.dataset import Dataset
from nightreel.data.histories import ItemArray
from nightreel.evaluation.champion import Comparison
from nightreel.evaluation.gate.gate import Gate, GateResult
from nightreel.evaluation.metrics.bootstrap import Interval
from nightreel.evaluation.metrics.concentration import exposure, gini
from nightreel.evaluation.metrics.coverage import coverage
from nightreel.evaluation.model_scores import GATE_K, GATE_METRIC, ModelScores
from nightreel.evaluation.reporting.paired_comparisons import against_blend, pairs
from nightreel.evaluation.reporting.sample_users import samples
from nightreel.evaluation.segments.group_exposure import group_exposure
from nightreel.evaluation.segments.slice_definitions import figures_of
from nightreel.evaluation.test_set import POPULARITY, TestSet
from nightreel.reader.reader import Reader

POINTS = 40  # points of a long-tail curve
GROUPS = ("creators", "language")
Measured = Mapping[str, tuple[ModelScores, Mapping[str, Mapping[str, Interval]]]]


def report_data(
    data: Dataset,
    trials: Sequence[TestSet],
    readers: Sequence[Reader],
    measured: Measured,
    judgement: GateResult,
    gate: Gate,
) -> dict[str, Any]:
    """Collect the report's data as JSON.

    Args:
        data: The data with the named columns.
        trials: Test sets of the gate's folds.
        readers: Candidates of the same folds, for explanations; empty if the served lists are not the blend's.
        measured: Protocol → scores and intervals.
        judgement: The gate's result.
        gate: The gate's parameters.
    """
    scores, model = measured[data.gate][0], judgement.verdict.model
    served = scores.lists[model][:, :GATE_K]
    comparison = judgement.comparison
    theirs = comparison.lists if comparison else None
    lists = {"challenger": served} | ({} if theirs is None else {"champion": theirs})
    lists |= {POPULARITY: scores.lists[POPULARITY][:, :GATE_K]} if POPULARITY in scores.models else {}
    return {
        "protocols": {
            name: {
                "users": own.n_users,
                "models": {m: _model(own, m, found[m]) for m in own.models if own.n_users},
            }
            for name, (own, found) in measured.items()
        },
        "champion": _champion(comparison, data.n_items),
        "pairs": [asdict(each) for each in pairs(trials, served, comparison, gate.resample)] if comparison else [],
        "levels": {
            "confidence": gate.settings.confidence,
            "slice_confidence": gate.settings.slice_confidence,
        },
        "slice_users": gate.settings.slice_users,
        "against_blend": [asdict(each) for each in against_blend(scores, gate.difference, gate.settings)],
        "behaviours": [asdict(each) for each in judgement.behaviours],
        "groups": [
            asdict(each)
            for by in _labelled(data, gate.settings.slices)
            for each in _groups(by, data, served, trials, scores, gate)
        ],
        "long_tail": {name: _lorenz(each, data.n_items) for name, each in lists.items()},
        "samples": samples(data, trials, readers, served, scores.values[model][GATE_METRIC], comparison),
    }


def _model(scores: ModelScores, model: str, found: Mapping[str, Interval]) -> dict[str, Any]:
    ndcg = found[GATE_METRIC]
    small = {f"{m}@{GATE_K}": found[f"{m}@{GATE_K}"].point for m in ("recall", "hit_rate", "mrr")}
    return {GATE_METRIC: [ndcg.point, ndcg.low, ndcg.high], **small, "beyond": scores.beyond_accuracy[model]}


def _champion(comparison: Comparison | None, n_items: int) -> dict[str, float] | None:
    """The champion's metrics over the compared users; None if nothing was compared."""
    if comparison is None or not len(comparison.rows):
        return None
    figures = {GATE_METRIC: float(comparison.champion.mean()), "challenger": float(comparison.challenger.mean())}
    if comparison.lists is not None:
        figures |= {
            f"coverage@{GATE_K}": coverage(comparison.lists, n_items),
            f"gini@{GATE_K}": gini(exposure(comparison.lists, n_items)),
        }
    return figures


def _labelled(data: Dataset, slices: Sequence[str]) -> list[str]:
    """Columns of items that define groups: GROUPS, and the configured slices' columns that hold labels."""
    named = [name.removeprefix("items.") for name in slices if name.startswith("items.")]
    kinds = {field.name: field.type for field in data.items.schema}
    there = [
        name for name in dict.fromkeys((*GROUPS, *named)) if kinds.get(name) in (pa.string(), pa.list_(pa.string()))
    ]
    return [name for name in there if figures_of(data.items, f"items.{name}") is None]


def _groups(
    by: str, data: Dataset, served: ItemArray, trials: Sequence[TestSet], scores: ModelScores, gate: Gate
) -> list[Any]:
    cells = data.items[by].to_pylist()
    labels = [cell if isinstance(cell, list) else [] if cell is None else [cell] for cell in cells]
    return list(group_exposure(by, labels, served, [t.truth for t in trials], scores.users, gate.resample))


def _lorenz(lists: ItemArray, n_items: int) -> list[list[float]]:
    """[share of items, share of recommendations], the most recommended items first."""
    shown = np.sort(exposure(lists, n_items))[::-1]
    reached = np.concatenate([[0.0], np.cumsum(shown) / max(int(shown.sum()), 1)])
    at = np.unique(np.linspace(0, n_items, POINTS + 1).astype(int))
    return [[round(float(n / max(n_items, 1)), 4), round(float(reached[n]), 4)] for n in at]
