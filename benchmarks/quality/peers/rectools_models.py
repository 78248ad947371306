"""RecTools: most popular, EASE and the transformers (SASRec, eSASRec, BERT4Rec, HSTU)."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pytorch_lightning import Trainer, seed_everything
from question import Ask, Choice, Events, Ints, Question, extra, finish, validation_ndcg
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, EASEModel, HSTUModel, PopularModel, SASRecModel
from rectools.models.nn.transformers.ligr import LiGRLayers

PATIENCE, LOOKS = 3, 12  # a configuration ends after so many looks without a gain, and is looked at about so often
LEAST_EPOCHS = 20  # transformers rank by popularity at first, and gain later
BATCH, LEAST_STEPS = (16, 64), 32  # of a few hundred users, an epoch of large batches is a few steps: it learns slowly
LONGEST, LONG = 100, 0.99  # every sequence is padded to one length: no longer than nearly all of them are
LEAST_SHARE = 0.25  # of the budget must be left to begin another configuration


def moments(seconds: Any) -> Any:
    """Epoch seconds, or positions, as RecTools wants them."""
    return pd.to_datetime(np.asarray(seconds, np.float64), unit="s").astype("datetime64[ns]")


def quiet() -> Trainer:
    """Lightning's trainer, without bars, logs and checkpoints."""
    return Trainer(
        max_epochs=1, min_epochs=1, enable_progress_bar=False, enable_model_summary=False, logger=False,
        enable_checkpointing=False, accelerator="cpu", devices=1,
    )  # fmt: skip


def dataset_of(events: Events) -> Dataset:
    """RecTools' data set. Ties keep their order: each gets a microsecond more than the one before."""
    tie = pd.Series(1).repeat(len(events.user)).groupby([events.user, events.time]).cumsum().to_numpy() - 1
    frame = pd.DataFrame({
        Columns.User: events.user, Columns.Item: events.item, Columns.Weight: 1.0,
        Columns.Datetime: moments(events.time) + pd.to_timedelta(tie, unit="us"),
    })  # fmt: skip
    return Dataset.construct(frame)


class _RecTools(ABC):
    grid: Sequence[Choice]

    def __init__(self, question: Question) -> None:
        self.clock = question.clock
        self._made: tuple[Events, Dataset] | None = None

    def data(self, events: Events) -> Dataset:
        """Made once for each set of events."""
        if self._made is None or self._made[0] is not events:
            self._made = events, dataset_of(events)
        return self._made[1]

    @abstractmethod
    def build(self, choice: Choice) -> Any:
        """The peer's own model of one setting."""

    def fit(self, events: Events, choice: Choice) -> Any:
        return self.build(choice).fit(self.data(events))

    def recommend(self, model: Any, events: Events, ask: Ask) -> Ints:
        n = min(ask.k + extra(events, ask), events.n_items)
        context = None
        if model.require_recommend_context:
            context = pd.DataFrame({Columns.User: ask.users, Columns.Datetime: moments(ask.moments)})
        found = model.recommend(
            ask.users, self.data(events), k=n, filter_viewed=ask.seen is not None, context=context,
            on_unsupported_targets="ignore",
        )  # fmt: skip
        out = np.full((len(ask.users), n), -1, np.int64)
        rows = np.searchsorted(ask.users, found[Columns.User].to_numpy(np.int64))
        out[rows, found[Columns.Rank].to_numpy(np.int64) - 1] = found[Columns.Item].to_numpy(np.int64)
        return out


class Popular(_RecTools):
    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.grid = tuple({"days": days} for days in ((None, 365, 90, 30, 7) if self.clock else (None,)))

    def build(self, choice: Choice) -> Any:
        return PopularModel(period=timedelta(days=choice["days"]) if choice["days"] else None)


class EASE(_RecTools):
    grid = tuple({"regularization": r} for r in (500.0, 200.0, 1000.0, 100.0, 2000.0, 50.0))

    def build(self, choice: Choice) -> Any:
        return EASEModel(**choice)


class _Transformer(_RecTools):
    """The number of epochs is searched too: training is looked at on validation until it gains no more."""

    grid = (
        {"n_factors": 64, "n_blocks": 2, "dropout_rate": 0.2},
        {"n_factors": 128, "n_blocks": 2, "dropout_rate": 0.3},
        {"n_factors": 256, "n_blocks": 2, "dropout_rate": 0.3},
    )
    made: Any

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        counts = np.bincount(question.train.user)
        self.lengths = counts[counts > 0]
        self.batch = int(np.clip(len(self.lengths) // LEAST_STEPS, *BATCH))
        nearly_all = int(np.quantile(self.lengths, LONG)) if len(self.lengths) else 0
        self.length = min(LONGEST, nearly_all + 1)  # one more is asked with in the end

    def build(self, choice: Choice) -> Any:
        settings = {name: value for name, value in choice.items() if name != "epochs"}
        return self.made(
            n_heads=4, session_max_len=self.length, lr=1e-3, batch_size=self.batch, get_trainer_func=quiet, **settings
        )

    def fit(self, events: Events, choice: Choice) -> Any:
        seed_everything(0)
        return self.build(choice).fit_partial(self.data(events), choice["epochs"], choice["epochs"])

    def search(self, question: Question, deadline: float) -> tuple[Choice, list[dict[str, Any]]]:
        """The best configuration with its number of epochs."""
        if self.lengths.max(initial=0) < 2:
            raise ValueError("nobody has two training events, so there is no sequence to learn from")
        trials: list[dict[str, Any]] = []
        began = time.perf_counter()
        for choice in self.grid:
            now = time.perf_counter()
            if trials and deadline - now < LEAST_SHARE * (deadline - began):
                break  # too little time to train another one: it would not be a fair trial
            epochs, score, gaining = self._train(question, choice, deadline)
            trials.append({"choice": choice | {"epochs": epochs}, "ndcg@10": score, "cut": gaining})
        return max(trials, key=lambda trial: trial["ndcg@10"])["choice"], trials

    def _train(self, question: Question, choice: Choice, deadline: float) -> tuple[int, float, bool]:
        """The best number of epochs, its validation NDCG@10, and whether the budget ended before the gains did."""
        seed_everything(0)
        model, data = self.build(choice), self.data(question.train)
        began, done, step, worse, best = time.perf_counter(), 0, 1, 0, (1, -1.0)
        while True:
            model.fit_partial(data, step, step)
            done += step
            lists = finish(self.recommend(model, question.train, question.search), question.train, question.search)
            score = validation_ndcg(lists, question)
            best, worse = ((done, score), 0) if score > best[1] else (best, worse + 1)
            now = time.perf_counter()
            step = max(1, min(20, done // 4, int((deadline - began) / LOOKS / ((now - began) / done))))
            if worse >= PATIENCE and done >= max(LEAST_EPOCHS, 1.25 * best[0]):
                return *best, False
            if now + (now - began) / done * step > deadline:
                return *best, True


class SASRec(_Transformer):
    made = SASRecModel


class ESASRec(_Transformer):
    """SASRec with LiGR layers (Tikhonovich et al., 2025), full softmax."""

    made = partial(SASRecModel, transformer_layers_type=LiGRLayers)


class BERT4Rec(_Transformer):
    made = BERT4RecModel


class HSTU(_Transformer):
    """With relative time where there is a clock."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.made = partial(HSTUModel, relative_time_attention=self.clock)


PEERS = {
    "popular": Popular, "ease": EASE, "sasrec": SASRec, "esasrec": ESASRec, "bert4rec": BERT4Rec, "hstu": HSTU,
}  # fmt: skip
