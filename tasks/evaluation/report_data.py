"""What the report shows beyond the verdict, as plain data: figures of every model, groups, the long tail, sample users.

A deterministic part of evaluate's output; the page is made from it outside of DVC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.data.dataset import Dataset
from tasks.data.histories import FloatArray, IntArray, ItemArray
from tasks.evaluation.champion import Comparison
from tasks.evaluation.concentration import exposure, gini
from tasks.evaluation.coverage import coverage
from tasks.evaluation.gate import Evidence, Gate, Judgement
from tasks.evaluation.group_exposure import group_exposure
from tasks.evaluation.intervals import Interval
from tasks.evaluation.scores import GATE_K, GATE_METRIC, Scores
from tasks.evaluation.trial import POPULARITY, Trial

SAMPLES = 20  # users shown side by side
SHOWN = 8  # of a history, the newest first
POINTS = 40  # of a long-tail curve
GROUPS = ("creators", "language")
Measured = Mapping[str, tuple[Scores, Mapping[str, Mapping[str, Interval]]]]


def report_data(
    data: Dataset, trials: Sequence[Trial], measured: Measured, judgement: Judgement, evidence: Evidence, gate: Gate
) -> dict[str, Any]:
    """trials: of the gate's folds; measured: protocol → scores and intervals."""
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
        "behaviours": [asdict(each) for each in judgement.behaviours],
        "groups": [asdict(each) for by in GROUPS for each in _groups(by, data, served, trials, scores, gate)],
        "long_tail": {name: _lorenz(each, data.n_items) for name, each in lists.items()},
        "samples": _samples(data, trials, served, scores.values[model][GATE_METRIC], comparison),
    }


def _model(scores: Scores, model: str, found: Mapping[str, Interval]) -> dict[str, Any]:
    ndcg = found[GATE_METRIC]
    small = {f"{m}@{GATE_K}": found[f"{m}@{GATE_K}"].point for m in ("recall", "hit_rate", "mrr")}
    return {GATE_METRIC: [ndcg.point, ndcg.low, ndcg.high], **small, "beyond": scores.beyond[model]}


def _champion(comparison: Comparison | None, n_items: int) -> dict[str, float] | None:
    """Of the same users as the challenger's; None where nothing was compared."""
    if comparison is None or not len(comparison.rows):
        return None
    figures = {GATE_METRIC: float(comparison.champion.mean()), "challenger": float(comparison.challenger.mean())}
    if comparison.lists is not None:
        figures |= {
            f"coverage@{GATE_K}": coverage(comparison.lists, n_items),
            f"gini@{GATE_K}": gini(exposure(comparison.lists, n_items)),
        }
    return figures


def _groups(
    by: str, data: Dataset, served: ItemArray, trials: Sequence[Trial], scores: Scores, gate: Gate
) -> list[Any]:  # fmt: skip
    if by not in data.items.column_names:
        return []
    cells = data.items[by].to_pylist()
    labels = [cell if isinstance(cell, list) else [] if cell is None else [cell] for cell in cells]
    return list(group_exposure(by, labels, served, [t.truth for t in trials], scores.users, gate.resample))


def _lorenz(lists: ItemArray, n_items: int) -> list[list[float]]:
    """[share of items, share of places], the most shown items first."""
    shown = np.sort(exposure(lists, n_items))[::-1]
    reached = np.concatenate([[0.0], np.cumsum(shown) / max(int(shown.sum()), 1)])
    at = np.unique(np.linspace(0, n_items, POINTS + 1).astype(int))
    return [[round(float(n / max(n_items, 1)), 4), round(float(reached[n]), 4)] for n in at]


def _samples(
    data: Dataset, trials: Sequence[Trial], served: ItemArray, ndcg: FloatArray, comparison: Comparison | None
) -> list[dict[str, Any]]:
    """Users from the greatest loss to the greatest gain against the champion, evenly apart; else by their NDCG."""
    rows = comparison.rows if comparison else np.arange(len(ndcg), dtype=np.int64)
    by = comparison.challenger - comparison.champion if comparison else ndcg
    order = np.argsort(by, kind="stable")
    picked = order[np.unique(np.linspace(0, max(len(order) - 1, 0), min(SAMPLES, len(order))).astype(int))]
    starts = np.cumsum([0, *(len(trial) for trial in trials)])
    titles = _titles(data.items)
    samples = []
    for at in picked.tolist():
        row = int(rows[at])
        fold = int(np.searchsorted(starts, row, side="right")) - 1
        trial, inside = trials[fold], row - int(starts[fold])
        wanted = _wanted(trial, inside)
        sample = {
            "user": data.user_ids[trial.users[inside]],
            "history": [titles[item] for item in trial.histories[inside][0][::-1][:SHOWN].tolist()],
            "events": int(trial.histories.lengths[inside]),
            "wanted": [titles[item] for item in wanted],
            "challenger": _list(served[row], wanted, titles),
            "ndcg": float(ndcg[row]),
        }
        if comparison is not None:
            sample["champion_ndcg"] = float(comparison.champion[at])
            if comparison.lists is not None:
                sample["champion"] = _list(comparison.lists[at], wanted, titles)
        samples.append(sample)
    return samples


def _wanted(trial: Trial, row: int) -> list[int]:
    n = trial.truth.n_items
    first, last = np.searchsorted(trial.truth.keys, [row * n, (row + 1) * n])
    found: IntArray = trial.truth.keys[first:last] % n
    return [int(item) for item in found]


def _list(items: ItemArray, wanted: Sequence[int], titles: Sequence[str]) -> list[list[Any]]:
    """[title, whether it is a wanted one], best first."""
    return [[titles[item], item in wanted] for item in items.tolist() if item >= 0]


def _titles(items: pa.Table) -> list[str]:
    name = "title" if "title" in items.column_names else "item_id"
    titles: list[str] = items[name].to_pylist()
    return titles
