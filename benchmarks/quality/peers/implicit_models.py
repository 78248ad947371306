"""implicit: alternating least squares, Bayesian personalised ranking, item-kNN."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from question import Ask, Choice, Events, Ints, Question, extra
from threadpoolctl import threadpool_limits

threadpool_limits(1, "blas")  # its own threads fight with those of BLAS, as its documentation says

HIDDEN = -1e30  # implicit gives filtered items its lowest float


class _Implicit(ABC):
    grid: Sequence[Choice]
    threshold = HIDDEN

    def __init__(self, question: Question) -> None:
        del question  # nothing of it is needed

    @abstractmethod
    def build(self, choice: Choice) -> Any:
        """The peer's own model of one setting."""

    def fit(self, events: Events, choice: Choice) -> Any:
        model = self.build(choice)
        model.fit(events.matrix, show_progress=False)
        return model

    def recommend(self, model: Any, events: Events, ask: Ask) -> Ints:
        n = min(ask.k + extra(events, ask), events.n_items)
        items, scores = model.recommend(
            ask.users, events.matrix[ask.users], N=n, filter_already_liked_items=ask.seen is not None
        )
        return np.where(scores > self.threshold, items, -1).astype(np.int64)


class ALS(_Implicit):
    grid = tuple(
        {"factors": f, "alpha": a, "regularization": r}
        for f, a, r in product((64, 32, 128), (1.0, 5.0, 20.0), (0.01, 1.0, 10.0))
    )

    def build(self, choice: Choice) -> Any:
        return AlternatingLeastSquares(iterations=20, random_state=0, **choice)


class BPR(_Implicit):
    grid = tuple(
        {"factors": f, "learning_rate": rate, "regularization": r, "iterations": n}
        for n, f, rate, r in product((100, 400), (64, 128), (0.01, 0.05), (0.01, 0.002))
    )

    def build(self, choice: Choice) -> Any:
        return BayesianPersonalizedRanking(random_state=0, **choice)


class ItemKNN(_Implicit):
    grid = tuple({"weighting": w, "K": k} for k, w in product((20, 50, 100, 200), ("cosine", "tfidf", "bm25")))
    threshold = 0.0  # items without a neighbour in the history come in no order

    def build(self, choice: Choice) -> Any:
        made = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
        return made[choice["weighting"]](K=choice["K"])


PEERS = {"als": ALS, "bpr": BPR, "item-knn": ItemKNN}
