"""Measuring: every model's lists and metrics for a protocol's trials, and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.data.histories import FloatArray, IntArray, ItemArray
from tasks.evaluation.coverage import coverage
from tasks.evaluation.diversity import Pairwise, diversity
from tasks.evaluation.intervals import Interval, interval, replicate_means
from tasks.evaluation.novelty import novelty
from tasks.evaluation.ranking import per_user, repeats
from tasks.evaluation.trial import Ranker, Trial, ask

GATE_METRIC = "ndcg@10"
GATE_K = 10


@dataclass(frozen=True)
class Scores:
    """What a protocol's models scored, with one row per (fold, user).

    users: [n] user index of each row; folds: [n] fold name; values: model → metric → [n]; lists: model → [n, K];
    beyond: model → coverage, novelty, diversity and repeats of the first 10 entries; cold: users not asked.
    """

    users: IntArray
    folds: list[str]
    values: dict[str, dict[str, FloatArray]]
    lists: dict[str, ItemArray]
    beyond: dict[str, dict[str, float]]
    cold: int

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def n_users(self) -> int:
        """Distinct users: the unit of every interval."""
        return len(np.unique(self.users))

    def mean(self, model: str, metric: str) -> float:
        """Mean over rows; 0 where nobody could be asked (n_users says so)."""
        values = self.values[model][metric]
        return float(values.mean()) if len(values) else 0.0


def measure(
    pairs: Sequence[tuple[Trial, Ranker]], *, n_items: int, cutoffs: Sequence[int], distance: Pairwise
) -> Scores:
    """Ask every model of each fold's ranker; the folds' rows are pooled."""
    models = pairs[0][1].models
    length = max(cutoffs)
    answers = {model: [ask(ranker, trial, length, model) for trial, ranker in pairs] for model in models}
    trials = [trial for trial, _ in pairs]
    return Scores(
        users=np.concatenate([trial.users for trial in trials]),
        folds=[trial.fold for trial in trials for _ in range(len(trial))],
        values={model: _pooled(trials, lists, cutoffs) for model, lists in answers.items()},
        lists={model: np.concatenate(lists) for model, lists in answers.items()},
        beyond={model: _beyond(trials, lists, n_items, distance) for model, lists in answers.items()},
        cold=sum(trial.cold for trial in trials),
    )


def intervals(scores: Scores, replicates: int, rng: np.random.Generator) -> dict[str, dict[str, Interval]]:
    """model → metric → mean with its two-sided 95% interval, from one set of draws of users."""
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
    """Sums [u, m] of the rows' figures [n, m] per distinct user, and each user's number of rows [u]."""
    _, at = np.unique(users, return_inverse=True)
    counts = np.bincount(at).astype(np.float64)
    sums = [np.bincount(at, weights=column, minlength=len(counts)) for column in columns.T]
    return np.column_stack(sums).astype(np.float64), counts


def _pooled(trials: Sequence[Trial], lists: Sequence[ItemArray], cutoffs: Sequence[int]) -> dict[str, FloatArray]:
    folds = [per_user(items, trial.truth, cutoffs) for trial, items in zip(trials, lists, strict=True)]
    return {metric: np.concatenate([fold[metric] for fold in folds]) for metric in folds[0]}


def _beyond(trials: Sequence[Trial], lists: Sequence[ItemArray], n_items: int, distance: Pairwise) -> dict[str, float]:
    """Figures of the catalogue and the lists, at 10; means over folds, weighted by their users."""
    rows = []
    for trial, items in zip(trials, lists, strict=True):
        top = items[:, :GATE_K]
        rows.append((coverage(top, n_items), novelty(top, trial.bits), diversity(top, distance), float(repeats(items))))
    weights = np.array([len(trial) for trial in trials], np.float64)
    if not weights.sum():
        return {"coverage@10": 0.0, "novelty@10": 0.0, "diversity@10": 0.0, "repeats": 0.0}
    covered, bits_, unlike, twice = (float(v) for v in np.average(np.array(rows), axis=0, weights=weights))
    return {"coverage@10": covered, "novelty@10": bits_, "diversity@10": unlike, "repeats": twice}
