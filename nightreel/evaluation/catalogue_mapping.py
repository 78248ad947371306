"""Adapter: evaluates a model trained on another catalogue with today's item indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray, ItemArray
from nightreel.evaluation.test_set import Lists, Ranker, padded


@dataclass(frozen=True)
class _Answer:
    items: ItemArray
    scores: npt.NDArray[np.float32]


class RemappedRanker:
    """Translates histories to the ranker's own items, and its lists back to today's items.

    Items that the ranker does not know are removed from the histories. Items that are no longer in today's catalogue
    are removed from its lists, which are requested longer by their number (at most 200), so that they stay full.
    """

    def __init__(self, ranker: Ranker, own_ids: Sequence[str], today_ids: Sequence[str]) -> None:
        number = {item: index for index, item in enumerate(today_ids)}
        self._today = np.array([number.get(item, -1) for item in own_ids] + [-1], np.int32)
        self._own = np.full(len(today_ids), -1, np.int32)
        known = np.flatnonzero(self._today >= 0)
        self._own[self._today[known]] = known
        self._surplus = min(len(own_ids) - len(known), 200)
        self._ranker = ranker
        self.models = ranker.models

    def recommend_many(
        self,
        histories: Histories,
        *,
        moments: FloatArray | None,
        exclude: Histories | None,
        k: int,
        model: str = "blend",
    ) -> Lists:
        """[n, k] lists in today's indices; arguments as in `Reader.recommend_many`."""
        excluded = None if exclude is None else self._translate(exclude)
        answer = self._ranker.recommend_many(
            self._translate(histories), moments=moments, exclude=excluded, k=k + self._surplus, model=model
        )
        lists = self._today[answer.items]  # padding (-1) selects the last entry, which is -1
        order: IntArray = np.argsort(lists < 0, axis=1, kind="stable")
        scores = np.take_along_axis(answer.scores, order, axis=1)[:, :k]
        return _Answer(
            padded(np.take_along_axis(lists, order, axis=1), k), np.pad(scores, ((0, 0), (0, k - scores.shape[1])))
        )

    def _translate(self, histories: Histories) -> Histories:
        return histories.renumbered(self._own)
