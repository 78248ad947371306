"""Lists, metrics and intervals of every model on a protocol's test sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightreel.data.histories import FloatArray, IntArray, ItemArray
from nightreel.evaluation.beyond_accuracy import CatalogueFacts, beyond_accuracy_metrics
from nightreel.evaluation.list_checks import Hidden, Mask, faults
from nightreel.evaluation.metrics.bootstrap import Interval, interval, replicate_means
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.evaluation.test_set import POPULARITY, Ranker, TestSet, answers
from nightreel.models.engine import BLEND

GATE_METRIC = "ndcg@10"
GATE_K = 10
SERVED = (BLEND, POPULARITY)  # models that may be published; single members are only evaluated


@dataclass(frozen=True)
class ModelScores:
    """The scores of a protocol's models, with one row per (fold, user).

    users: [n] user index of each row; folds: [n] fold name; values: model → metric → [n]; lists: model → [n, K];
    beyond_accuracy: model → metrics beyond accuracy of the top 10; faults: model of SERVED → hard check → number of
    lists that fail it; cold: number of users without a history, who are excluded.
    """

    users: IntArray
    folds: list[str]
    values: dict[str, dict[str, FloatArray]]
    lists: dict[str, ItemArray]
    beyond_accuracy: dict[str, dict[str, float]]
    faults: dict[str, dict[str, int]]
    cold: int

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def n_users(self) -> int:
        """Distinct users: the unit of every interval."""
        return len(np.unique(self.users))

    def mean(self, model: str, metric: str) -> float:
        """Mean over rows; 0 without test users (see n_users)."""
        values = self.values[model][metric]
        return float(values.mean()) if len(values) else 0.0


def score_models(
    pairs: Sequence[tuple[TestSet, Ranker]], *, cutoffs: Sequence[int], catalogue: CatalogueFacts, hidden: Hidden
) -> ModelScores:
    """Score every model of each fold's ranker, with the folds' rows pooled.

    Args:
        pairs: Test set and ranker of each fold.
        cutoffs: List lengths of the metrics.
        catalogue: Facts for the metrics beyond accuracy.
        hidden: Items that may not be shown.
    """
    models, trials = pairs[0][1].models, [trial for trial, _ in pairs]
    asked = {m: [answers(ranker, trial, max(cutoffs), m) for trial, ranker in pairs] for m in models}
    lists = {model: [items for items, _ in found] for model, found in asked.items()}
    popular = lists.get(POPULARITY)
    return ModelScores(
        users=np.concatenate([trial.users for trial in trials]),
        folds=[trial.fold for trial in trials for _ in range(len(trial))],
        values={model: _pooled(trials, found, cutoffs) for model, found in lists.items()},
        lists={model: np.concatenate(found) for model, found in lists.items()},
        beyond_accuracy={
            model: beyond_accuracy_metrics(trials, found, popular, catalogue) for model, found in lists.items()
        },
        faults={model: _faults(trials, found, hidden) for model, found in asked.items() if model in SERVED},
        cold=sum(trial.cold for trial in trials),
    )


def intervals(scores: ModelScores, replicates: int, rng: np.random.Generator) -> dict[str, dict[str, Interval]]:
    """Model → metric → mean with its two-sided 95% interval, from one set of bootstrap samples of users."""
    names = [(model, metric) for model, metrics in scores.values.items() for metric in metrics]
    if not scores.n_users:
        return {model: {} for model in scores.models}
    columns = np.column_stack([scores.values[model][metric] for model, metric in names])
    sums, counts = by_user(scores.users, columns)
    means = replicate_means(sums, counts, replicates, rng)
    found: dict[str, dict[str, Interval]] = {model: {} for model in scores.models}
    for column, (model, metric) in enumerate(names):
        found[model][metric] = interval(scores.mean(model, metric), means[:, column])
    return found


def by_user(users: IntArray, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums [u, m] of the rows' values [n, m] per distinct user, and each user's number of rows [u]."""
    _, at = np.unique(users, return_inverse=True)
    counts = np.bincount(at).astype(np.float64)
    sums = [np.bincount(at, weights=column, minlength=len(counts)) for column in columns.T]
    return np.column_stack(sums).astype(np.float64), counts


def _pooled(trials: Sequence[TestSet], lists: Sequence[ItemArray], cutoffs: Sequence[int]) -> dict[str, FloatArray]:
    folds = [per_user(items, trial.truth, cutoffs) for trial, items in zip(trials, lists, strict=True)]
    return {metric: np.concatenate([fold[metric] for fold in folds]) for metric in folds[0]}


def _faults(trials: Sequence[TestSet], asked: Sequence[tuple[ItemArray, Mask]], hidden: Hidden) -> dict[str, int]:
    folds = [faults(trial, *found, hidden) for trial, found in zip(trials, asked, strict=True)]
    return {check: sum(fold[check] for fold in folds) for check in folds[0]}
