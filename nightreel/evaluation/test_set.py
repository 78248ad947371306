"""A trial: what one fold asks of every model, and the lists that a model answers with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.evaluation.metrics.novelty import audience, information
from nightreel.evaluation.metrics.ranking import Truth

POPULARITY = "popularity"  # the member that everything has to beat
_USERS = 1024  # users asked at once: bounds a model's [users, n_items] scores


class InteractionData(Protocol):
    """What a trial needs of a dataset (nightreel.data.dataset.Dataset)."""

    @property
    def n_items(self) -> int: ...
    @property
    def exclude_seen(self) -> bool: ...
    def positives(self, fold: str | None, parts: tuple[str, ...]) -> Histories: ...
    def seen(self, fold: str | None, parts: tuple[str, ...]) -> Histories: ...


class Lists(Protocol):
    """The answer of a ranker: items [n, k] int32, best first, padded with -1, and their scores [n, k]."""

    @property
    def items(self) -> ItemArray: ...
    @property
    def scores(self) -> npt.NDArray[np.float32]: ...


class Ranker(Protocol):
    """What evaluation asks of a bundle (nightreel.reader.reader.Reader)."""

    @property
    def models(self) -> tuple[str, ...]: ...
    def recommend_many(
        self,
        histories: Histories,
        *,
        moments: FloatArray | None,
        exclude: Histories | None,
        k: int,
        model: str = "blend",
    ) -> Lists: ...


@dataclass(frozen=True)
class TestSet:
    """One fold's question, the same for every model.

    users: [n] user indices; histories: n rows of train + valid positives; exclude: n rows of what the user has seen by
    then, or None where repeats are allowed; moments: [n] the instant of each answer; truth: of the n rows;
    bits: [n_items] how little known each item was among all users with a history; cold: users with test positives
    and no history, who are counted and not asked.
    """

    fold: str
    users: IntArray
    histories: Histories
    exclude: Histories | None
    moments: FloatArray
    truth: Truth
    bits: FloatArray
    cold: int

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: IntArray) -> TestSet:
        """The trial for some of its rows."""
        return replace(
            self,
            users=self.users[rows],
            histories=self.histories.take(rows),
            exclude=None if self.exclude is None else self.exclude.take(rows),
            moments=self.moments[rows],
            truth=self.truth.take(rows),
        )


def build_test_set(
    data: InteractionData, fold: str, cut: float | None, hidden: npt.NDArray[np.bool_] | None = None
) -> TestSet:
    """The trial of a fold. Truth: test positives not seen before (where seen items are excluded), for users with at
    least one train or valid positive.

    cut: the instant that ends validation, for folds cut at one time; None: each user's own last history event, so that
    no feature sees past what the user had done. hidden: [n_items] what may not be shown today: no list can hold it, so
    no truth does.
    """
    past = ("train", "valid")
    history, seen, test = data.positives(fold, past), data.seen(fold, past), data.positives(fold, ("test",))
    if data.exclude_seen:
        test = test.where(~_contains(seen, test, data.n_items))
    if hidden is not None:
        test = test.where(~hidden[test.items])
    asked = test.lengths > 0
    users = np.flatnonzero(asked & (history.lengths > 0)).astype(np.int64)
    histories = history.take(users)
    moments = histories.last_times if cut is None else np.full(len(users), cut)
    return TestSet(
        fold=fold,
        users=users,
        histories=histories,
        exclude=seen.take(users) if data.exclude_seen else None,
        moments=moments,
        truth=Truth.of(test.take(users), data.n_items),
        bits=information(audience(history, data.n_items), int((history.lengths > 0).sum())),
        cold=int((asked & (history.lengths == 0)).sum()),
    )


def ask(ranker: Ranker, question: TestSet, k: int, model: str) -> ItemArray:
    """[n, k] int32 the model's lists for every user of the trial, asked in blocks."""
    return answers(ranker, question, k, model)[0]


def answers(ranker: Ranker, question: TestSet, k: int, model: str) -> tuple[ItemArray, npt.NDArray[np.bool_]]:
    """The lists as of `ask`, and [n] whether a row's items all have a finite score."""
    blocks, sound = [], []
    for start in range(0, len(question), _USERS):
        part = question.take(np.arange(start, min(start + _USERS, len(question)), dtype=np.int64))
        answer = ranker.recommend_many(part.histories, moments=part.moments, exclude=part.exclude, k=k, model=model)
        blocks.append(padded(answer.items, k))
        sound.append((np.isfinite(answer.scores) | (answer.items < 0)).all(axis=1))
    if not blocks:
        return np.empty((0, k), np.int32), np.empty(0, bool)
    return np.concatenate(blocks), np.concatenate(sound)


def padded(items: ItemArray, k: int) -> ItemArray:
    """[n, k] lists of exactly k columns, filled with -1 where a catalogue has fewer than k items."""
    short = k - items.shape[1]
    return items[:, :k] if short <= 0 else np.pad(items, ((0, 0), (0, short)), constant_values=-1)


def _contains(owners: Histories, asked: Histories, n_items: int) -> npt.NDArray[np.bool_]:
    """[nnz of asked] whether the event's row of `owners` holds its item."""
    return np.isin(asked.rows * n_items + asked.items, owners.rows * n_items + owners.items)
