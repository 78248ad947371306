"""Peers that know time: recent popularity, and EASE and item-kNN of decayed histories beside recent popularity.

No library has them in one piece, and on a log with a clock they are what has to be beaten.
Sources: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019; Ji et al., "A Re-visit of the
Popularity Baseline in Recommender Systems", SIGIR 2020.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from question import Ask, Choice, Events, Ints, Question, finish, validation_ndcg

Floats = npt.NDArray[np.float32]
DAY, BLOCK, MOMENTS = 86_400.0, 512, 64
HALF_LIVES = (0.1, 0.25, 0.5, 1.0, 2.0, 7.0, 30.0, np.inf)
WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
DECAYS = (3.0, 10.0, 30.0, 100.0)


class RecentPopularity:
    """The most used items, newer events counting more."""

    personal: Sequence[Choice] = ({},)
    weights: Sequence[float] = (1.0,)

    def __init__(self, question: Question) -> None:
        self.clock = question.clock
        lives = HALF_LIVES if question.clock else HALF_LIVES[-1:]
        self.mixes = [{"half_life": life, "weight": weight} for life, weight in product(lives, self.weights)]
        self.grid: Sequence[Choice] = [each | mix for each in self.personal for mix in self.mixes]

    def fit(self, events: Events, choice: Choice) -> dict[str, Any]:
        """The model of a choice: item-to-item weights, where it has any."""
        return {"choice": choice}

    def scores(self, model: dict[str, Any], events: Events, users: Ints) -> Floats:
        """[n, n_items] scores of histories, of which the largest of a row is 1."""
        return np.zeros((len(users), events.n_items), np.float32)

    def search(self, question: Question, deadline: float) -> tuple[Choice, list[dict[str, Any]]]:
        """Every mix of each fitted model, since a mix costs little beside a fit."""
        trials: list[dict[str, Any]] = []
        for setting in self.personal:
            if trials and time.perf_counter() > deadline:
                break
            model = self.fit(question.train, setting)
            for mix in self.mixes:
                choice = setting | mix
                lists = self.recommend(model | {"choice": choice}, question.train, question.search)
                figure = validation_ndcg(finish(lists, question.train, question.search), question)
                trials.append({"choice": choice, "ndcg@10": figure})
        return max(trials, key=lambda trial: trial["ndcg@10"])["choice"], trials

    def recommend(self, model: dict[str, Any], events: Events, ask: Ask) -> Ints:
        """[n, k] unseen items by the weighted sum."""
        choice, n = model["choice"], min(ask.k, events.n_items)
        group, popular = self._popular(events, ask.moments, choice["half_life"])
        lists = np.full((len(ask.users), n), -1, np.int64)
        for start in range(0, len(ask.users), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(ask.users)))
            scores = self.scores(model, events, ask.users[rows]) + np.float32(choice["weight"]) * popular[group[rows]]
            if ask.seen is not None:
                scores[ask.seen[ask.users[rows]].nonzero()] = -np.inf
            top = np.argpartition(-scores, n - 1, axis=1)[:, :n]
            order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
            lists[rows] = np.take_along_axis(top, order, axis=1)
        return lists

    def _popular(self, events: Events, moments: npt.NDArray[np.float64], days: float) -> tuple[Ints, Floats]:
        """For each moment a row of [m, n_items]: log(1 + decayed count) over its maximum, of earlier events alone. Many
        moments are rounded down to MOMENTS of them."""
        asked = np.unique(moments) if self.clock else np.array([np.inf])
        if len(asked) > MOMENTS:
            asked = np.unique(np.quantile(asked, np.linspace(0, 1, MOMENTS), method="lower"))
        table = np.empty((len(asked), events.n_items), np.float32)
        for row, moment in enumerate(asked.tolist()):
            known = events.time < moment
            age = moment - events.time[known] if np.isfinite(days) else np.zeros(int(known.sum()))
            logged = np.log1p(np.bincount(events.item[known], 0.5 ** (age / (days * DAY)), events.n_items))
            table[row] = logged / max(float(logged.max()), 1e-12)
        if not self.clock:
            return np.zeros(len(moments), np.int64), table
        return np.maximum(np.searchsorted(asked, moments, side="right") - 1, 0), table


class RecentItemKnn(RecentPopularity):
    """Cosine item-kNN of a decayed history, plus recent popularity."""

    weights = WEIGHTS
    personal = tuple({"K": k, "decay": decay} for k, decay in product((100, 20), DECAYS))

    def fit(self, events: Events, choice: Choice) -> dict[str, Any]:
        """The K most similar items of each."""
        taken = events.matrix
        together = (taken.T @ taken).tocsr()
        norm = np.sqrt(together.diagonal()) + 1e-9
        similar = (sp.diags(1 / norm) @ together @ sp.diags(1 / norm)).tolil()
        similar.setdiag(0)
        similar = similar.tocsr()
        for row in range(similar.shape[0]):
            own = similar.data[similar.indptr[row] : similar.indptr[row + 1]]
            if len(own) > choice["K"]:
                own[own < np.partition(own, -choice["K"])[-choice["K"]]] = 0
        similar.eliminate_zeros()
        return {"choice": choice, "weights": similar.astype(np.float32)}

    def scores(self, model: dict[str, Any], events: Events, users: Ints) -> Floats:
        """A decayed history times the weights."""
        product = decayed(events, users, model["choice"]["decay"]) @ model["weights"]
        found = np.asarray(product.todense() if sp.issparse(product) else product, np.float32)
        most = found.max(axis=1, keepdims=True)
        return np.asarray(found / np.where(most > 0, most, 1), np.float32)


class RecentEase(RecentItemKnn):
    """EASE of a decayed history, plus recent popularity."""

    personal = tuple({"lambda": ridge, "decay": decay} for ridge, decay in product((300.0, 100.0, 1000.0), DECAYS))

    def fit(self, events: Events, choice: Choice) -> dict[str, Any]:
        """The closed form."""
        gram = np.asarray((events.matrix.T @ events.matrix).todense(), np.float64)
        gram[np.diag_indices_from(gram)] += choice["lambda"]
        weights = np.linalg.inv(gram)
        weights /= -np.diag(weights)[None, :]
        weights[np.diag_indices_from(weights)] = 0
        return {"choice": choice, "weights": weights.astype(np.float32)}


def decayed(events: Events, users: Ints, decay: float) -> Any:
    """[len(users), n_items] histories in which the j-th event from the end weighs exp(-j / decay)."""
    ends = np.cumsum(np.bincount(events.user, minlength=events.n_users))
    weights = np.exp(-(ends[events.user] - 1 - np.arange(len(events.user))) / decay).astype(np.float32)
    return sp.csr_matrix((weights, (events.user, events.item)), shape=(events.n_users, events.n_items))[users]


PEERS = {"popularity": RecentPopularity, "item-knn": RecentItemKnn, "ease": RecentEase}
