"""The test set of a fold: users, histories and truth, the same for every model; and the models' lists on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.evaluation.metrics.novelty import audience, information
from nightreel.evaluation.metrics.ranking import Truth

POPULARITY = "popularity"  # the baseline that every model has to beat
_USERS = 1024  # users per block: bounds the memory of a model's [users, n_items] scores


class InteractionData(Protocol):
    """The part of a data set (nightreel.data.dataset.Dataset) that a test set needs."""

    @property
    def n_items(self) -> int: ...
    @property
    def exclude_seen(self) -> bool: ...
    def positives(self, fold: str | None, parts: tuple[str, ...]) -> Histories: ...
    def seen(self, fold: str | None, parts: tuple[str, ...]) -> Histories: ...


class Lists(Protocol):
    """A ranker's result: items [n, k] int32, best first, padded with -1, and their scores [n, k]."""

    @property
    def items(self) -> ItemArray: ...
    @property
    def scores(self) -> npt.NDArray[np.float32]: ...


class Ranker(Protocol):
    """The part of a reader (nightreel.reader.reader.Reader) that the evaluation needs."""

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
    """One fold's test set, the same for every model.

    users: [n] user indices; histories: n rows of train and validation positives; exclude: n rows of seen items, or
    None if repeats are allowed; moments: [n] time of each request; truth: of the n rows; bits: [n_items]
    self-information of each item among all users with a history; cold: number of users with test positives and no
    history, who are excluded.
    """

    __test__: ClassVar[bool] = False  # no class of tests, whatever pytest makes of its name

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
        """The test set of some rows."""
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
    """Build the test set of a fold.

    The truth is the relevant test positives (without seen items, if those are excluded) of users with at least one
    positive event in train or validation.

    Args:
        data: The validated data.
        fold: The fold's name.
        cut: The time that ends validation, for folds cut at one time; None: the time of each user's last event in the
            history, so that no feature sees later events.
        hidden: [n_items] items hidden today; no list can contain them, so the truth does not either.
    """
    past = ("train", "valid")
    history, seen, test = data.positives(fold, past), data.seen(fold, past), data.positives(fold, ("test",)).relevant
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
    """[n, k] int32 the model's lists for every user of the test set, computed in blocks."""
    return answers(ranker, question, k, model)[0]


def answers(ranker: Ranker, question: TestSet, k: int, model: str) -> tuple[ItemArray, npt.NDArray[np.bool_]]:
    """The lists as in `ask`, and [n] whether all scores of a row are finite."""
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
    """[n, k] lists of exactly k columns, padded with -1 if the catalogue has fewer than k items."""
    short = k - items.shape[1]
    return items[:, :k] if short <= 0 else np.pad(items, ((0, 0), (0, short)), constant_values=-1)


def _contains(owners: Histories, asked: Histories, n_items: int) -> npt.NDArray[np.bool_]:
    """[nnz of asked] whether the same row of `owners` contains the event's item."""
    return np.isin(asked.rows * n_items + asked.items, owners.rows * n_items + owners.items)
