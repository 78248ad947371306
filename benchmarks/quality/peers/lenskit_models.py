"""LensKit: implicit matrix factorisation, item-kNN and EASE, in its own top-n pipeline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.basic import AllTrainingItemsCandidateSelector
from lenskit.batch import recommend
from lenskit.data import from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer
from lenskit.pipeline import RecPipelineBuilder
from question import Ask, Choice, Events, Ints, Question, extra


class _LensKit(ABC):
    grid: Sequence[Choice]

    def __init__(self, question: Question) -> None:
        self.repeats = question.answer.seen is None

    @abstractmethod
    def scorer(self, choice: Choice) -> Any:
        """The peer's own model of one setting."""

    def fit(self, events: Events, choice: Choice) -> Any:
        pairs = pd.DataFrame({"user_id": events.user, "item_id": events.item}).drop_duplicates()
        builder = RecPipelineBuilder()
        builder.scorer(self.scorer(choice))
        if self.repeats:
            builder.candidate_selector(AllTrainingItemsCandidateSelector())
        pipeline = builder.build()
        pipeline.train(from_interactions_df(pairs))
        return pipeline

    def recommend(self, model: Any, events: Events, ask: Ask) -> Ints:
        n = min(ask.k + extra(events, ask), events.n_items)
        out = np.full((len(ask.users), n), -1, np.int64)
        for row, (_, items) in enumerate(recommend(model, ask.users.tolist(), n, n_jobs=1)):
            ids = np.asarray(items.ids(), np.int64)[:n]
            out[row, : len(ids)] = ids
        return out


class ImplicitMF(_LensKit):
    grid = tuple(
        {"embedding_size": f, "weight": w, "regularization": r}
        for f, w, r in product((64, 32, 128), (40.0, 10.0, 2.0), (0.1, 1.0, 10.0))
    )

    def scorer(self, choice: Choice) -> Any:
        return ImplicitMFScorer(epochs=15, **choice)


class ItemKNN(_LensKit):
    grid = tuple({"max_nbrs": n, "min_sim": s} for n, s in product((20, 50, 100), (1e-6, 0.05)))

    def scorer(self, choice: Choice) -> Any:
        return ItemKNNScorer(feedback="implicit", **choice)


class EASE(_LensKit):
    grid = tuple({"regularization": r} for r in (500.0, 200.0, 1000.0, 100.0, 2000.0, 50.0))

    def scorer(self, choice: Choice) -> Any:
        return EASEScorer(**choice)


PEERS = {"implicit-mf": ImplicitMF, "item-knn": ItemKNN, "ease": EASE}
