"""Baselines for a replayed night: recent popularity, and EASE combined with recent popularity, fitted on its log.

Their parameters are tuned on the step before the night, with models fitted before that step. Then they are refitted on
the whole log up to the night. The evaluated step is used for neither.
Sources: EASE: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. Recent popularity as the
baseline to beat: Ji et al., "A Re-visit of the Popularity Baseline in Recommender Systems", SIGIR 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.models.base import Scores
from nightreel.models.baselines.popularity import DAY
from nightreel.models.item_to_item import recency_weights, user_item_matrix, weighted_matrix
from nightreel.models.linear.ease import inverse, most_used
from nightreel.models.ranker.candidates import HIDDEN
from nightreel.models.top_k import top_items
from nightreel.replay.next_step import CUTOFF, Step, ndcg

Mask = npt.NDArray[np.bool_]
HALF_LIVES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 90.0, np.inf)
REGULARISATIONS = (100.0, 300.0, 1000.0)
DECAYS = (3.0, 10.0, 30.0)
WEIGHTS = (0.1, 0.3, 1.0, 2.0, 5.0)
MOST_ITEMS = 10_000  # most popular items used by EASE; fitting takes 8 bytes times their square
TUNING_USERS = 5_000
TUNING_CELLS = 20_000_000  # scores held at once while tuning: 80 MB
BLOCK = 512


@dataclass(frozen=True)
class BaselineParams:
    """Parameters of EASE × popularity. regularisation: L2; decay: of a history, in events; half_life: of the
    popularity, in days; weight: of the popularity."""

    regularisation: float
    decay: float
    half_life: float
    weight: float


def popularity(train: Histories, at: float, half_life: float, n_items: int) -> FloatArray:
    """[n_items] number of events, each weighted by its gain and by 0.5^(age / half-life).

    Args:
        train: Events before `at`.
        at: Epoch seconds.
        half_life: Days; inf for equal weights.
        n_items: Number of items in the log.
    """
    recent = 0.5 ** ((at - train.times) / (half_life * DAY))
    by_gain = recent if train.gains is None else recent * train.gains
    return np.bincount(train.items, by_gain, n_items).astype(np.float64)


@dataclass(frozen=True)
class RecentEase:
    """EASE over the most popular items. active: [m] their indices; weights: [m, m]."""

    active: IntArray
    weights: npt.NDArray[np.float32]
    n_items: int

    @classmethod
    def fit(cls, train: Histories, regularisation: float, n_items: int) -> Self:
        """Fit in closed form on the user-item matrix."""
        active = most_used(train, n_items, MOST_ITEMS)
        if not len(active):
            return cls(active, np.empty((0, 0), np.float32), n_items)
        taken = user_item_matrix(train, n_items)[:, active]
        weights = inverse((taken.T @ taken).toarray(), regularisation)
        weights /= -np.diag(weights)[None, :]
        weights[np.diag_indices_from(weights)] = 0.0
        return cls(active, weights, n_items)

    def score(self, past: Histories, decay: float) -> Scores:
        """[n, n_items] scores of histories, whose j-th event from the end has weight exp(-j / decay), scaled to a row
        maximum of 1."""
        raw = weighted_matrix(past, recency_weights(past, decay), self.n_items)[:, self.active] @ self.weights
        most = raw.max(axis=1, initial=0.0, keepdims=True)
        scores = np.zeros((len(past), self.n_items), np.float32)
        scores[:, self.active] = raw / np.where(most > 0, most, 1)
        return scores


def share(counts: FloatArray) -> npt.NDArray[np.float32]:
    """[n_items] log(1 + count) over its maximum."""
    logged = np.log1p(counts)
    return np.asarray(logged / max(float(logged.max(initial=0.0)), 1e-12), np.float32)


class TuningStep:
    """A step on which parameters are compared: its users, and the items with earlier positive events.

    Ranks are computed for relevant items only, so that hundreds of parameters take seconds.
    """

    def __init__(self, train: Histories, step: Step, hidden: Mask) -> None:
        """Prepare the step. train: positives before it; hidden: [n_items] items that may not be shown."""
        taken = np.bincount(train.items, minlength=len(hidden)) > 0
        self.items = np.flatnonzero(taken & ~hidden)
        self.step = _some(step, len(self.items))
        column = np.full(len(hidden), -1)
        column[self.items] = np.arange(len(self.items))
        at = column[self.step.met.items]
        self._met = self.step.met.rows[at >= 0], at[at >= 0]
        row, item = np.divmod(self.step.truth.keys, len(hidden))
        found = column[item] >= 0
        self._row, self._column = row[found], column[item[found]]

    def figure(self, scores: Scores) -> float:
        """Mean NDCG@10 of scores [users, items]; ties go to the lower index, as in lists. Changes `scores`."""
        scores[self._met] = HIDDEN
        every, own = scores[self._row], scores[self._row, self._column][:, None]
        place = np.count_nonzero(every > own, axis=1)
        near = np.flatnonzero((place < CUTOFF) & (own[:, 0] > HIDDEN))  # the few rows where ties matter
        earlier = np.arange(len(self.items)) < self._column[near, None]
        place[near] += np.count_nonzero((every[near] == own[near]) & earlier, axis=1)
        listed = near[place[near] < CUTOFF]
        lists = np.full((len(self.step), CUTOFF), -1, np.int32)
        lists[self._row[listed], place[listed]] = self.items[self._column[listed]]
        return float(ndcg(lists, self.step).mean())


def tune_popularity(train: Histories, step: Step, at: float, hidden: Mask) -> float:
    """The half-life in days with the best lists on a step; the longest one of a tie."""
    trial = TuningStep(train, step, hidden)
    if not len(trial.step):
        return HALF_LIVES[-1]
    found = {}
    for days in reversed(HALF_LIVES):
        counts = popularity(train, at, days, len(hidden))[trial.items]
        found[days] = trial.figure(np.tile(counts.astype(np.float32), (len(trial.step), 1)))
    return max(found, key=found.__getitem__)


def tune_ease(train: Histories, step: Step, at: float, hidden: Mask, half_life: float) -> BaselineParams:
    """The best parameters on a step, by grid search; of half-lives, only popularity's own and its neighbours."""
    trial, middle = TuningStep(train, step, hidden), HALF_LIVES.index(half_life)
    near = HALF_LIVES[max(0, middle - 1) : middle + 2]
    best, chosen = -1.0, BaselineParams(REGULARISATIONS[1], DECAYS[1], half_life, WEIGHTS[2])
    if not len(trial.step):
        return chosen
    recent = {days: share(popularity(train, at, days, len(hidden)))[trial.items] for days in near}
    for regularisation in REGULARISATIONS:
        model = RecentEase.fit(train, regularisation, len(hidden))
        for decay in DECAYS:
            scores = model.score(trial.step.past, decay)[:, trial.items]
            for days, weight in product(near, WEIGHTS):
                figure = trial.figure(scores + weight * recent[days])
                if figure > best:
                    best, chosen = figure, BaselineParams(regularisation, decay, days, weight)
    return chosen


def by_popularity(counts: FloatArray, step: Step, hidden: Mask) -> ItemArray:
    """[n, CUTOFF] the unseen items with the highest counts."""
    return _in_blocks(step, hidden, lambda past: np.tile(counts.astype(np.float32), (len(past), 1)))


def by_ease(train: Histories, step: Step, at: float, hidden: Mask, chosen: BaselineParams) -> ItemArray:
    """[n, CUTOFF] the best items by EASE's score plus the weighted recent popularity."""
    model = RecentEase.fit(train, chosen.regularisation, len(hidden))
    recent = chosen.weight * share(popularity(train, at, chosen.half_life, len(hidden)))
    return _in_blocks(step, hidden, lambda past: model.score(past, chosen.decay) + recent)


def _in_blocks(step: Step, hidden: Mask, score: Callable[[Histories], Scores]) -> ItemArray:
    """Lists of all rows, scored in blocks."""
    lists = [np.empty((0, min(CUTOFF, len(hidden))), np.int32)]
    for start in range(0, len(step), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(step)))
        lists.append(_best(score(step.past.take(rows)), step.met.take(rows), hidden))
    return np.concatenate(lists)


def _best(scores: Scores, met: Histories, hidden: Mask) -> ItemArray:
    """[n, CUTOFF] the best items that are neither hidden nor seen, padded with -1. Changes `scores`."""
    scores[:, hidden] = HIDDEN
    scores[met.rows, met.items] = HIDDEN
    items = top_items(scores, CUTOFF)
    return np.where(np.take_along_axis(scores, items, axis=1) > HIDDEN, items, -1).astype(np.int32)


def _some(step: Step, n_items: int) -> Step:
    """At most TUNING_USERS of the users, and no more than fit into memory, at even distances in their order of arrival,
    so that the selection does not depend on their ids (with pseudonyms, on the key)."""
    most = max(1, min(TUNING_USERS, TUNING_CELLS // max(n_items, 1)))
    if len(step) <= most:
        return step
    came = np.argsort(step.moments, kind="stable")
    return step.take(np.sort(came[np.unique(np.linspace(0, len(step) - 1, most).astype(np.int64))]))
