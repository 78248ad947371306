"""The measured effect of a history on listed items: their scores and places, ranked again without parts of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from nightreel.bundle.item_table import Mask
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.engine import Engine
from nightreel.reader.question import Question

NOISE = 1e-6  # of a score: less is rounding

Listed = npt.NDArray[np.int32]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Effects:
    """What leaving out items of a history, one at a time, does to listed items.

    Attributes:
        history: [h] the history items that were left out.
        scores: [n] scores with the whole history.
        places: [n] places in the list, from 1; 0: not in it.
        drops: [h, n] loss of score without each history item.
        places_without: [h, n] places without it.
        usual: [h] the loss of score of the candidates on average (their median).
    """

    history: IntArray
    scores: FloatArray
    places: IntArray
    drops: FloatArray
    places_without: IntArray
    usual: FloatArray

    @property
    def lifts(self) -> Mask:
        """[h, n] whether a history item lifts a listed one: without it the score is lower, by more than that of other
        candidates, and the place is not better; or it is in no place any more."""
        noise = NOISE * np.maximum(1.0, np.abs(self.scores))
        lower = (self.drops > noise) & (self.drops - self.usual[:, None] > noise)
        gone = self.places_without == 0
        return np.asarray((self.places > 0) & (gone | (lower & (self.places_without >= self.places))))

    @classmethod
    def measured(
        cls,
        engine: Engine,
        question: Question,
        items: IntArray,
        history: IntArray,
        hidden: tuple[Mask | None, Mask | None],
        depth: int,
    ) -> Self:
        """Rank again without each history item. The time and the hidden items stay the same.

        Args:
            engine: The models.
            question: The request.
            items: [n] listed items.
            history: [h] distinct history items to leave out.
            hidden: [n_items] items that are not ranked, and items that may not be shown and take no place; None: none.
            depth: Length of the list; whatever is further down has no place.
        """
        past, rows = question.past, 1 + len(history)
        kept = [np.ones(len(past.items), bool), *(past.items != each for each in history.tolist())]
        histories = Histories(
            np.concatenate([[0], np.cumsum([each.sum() for each in kept])]).astype(np.int64),
            np.concatenate([past.items[each] for each in kept]),
            np.concatenate([past.times[each] for each in kept]),
            negatives=None if past.negatives is None else past.negatives.take(np.zeros(rows, np.int64)),
            gains=None if past.gains is None else np.concatenate([past.gains[each] for each in kept]),
        )
        exclude = question.exclude.take(np.zeros(rows, np.int64)) if question.exclude is not None else None
        listed, values = engine.top_k(
            histories, np.repeat(question.moments, rows), min(depth, engine.n_items), exclude=exclude, hidden=hidden[0]
        )
        found = [_standing(listed[row], values[row], items, hidden[1], engine.n_items) for row in range(rows)]
        scores, places = (np.stack(each) for each in zip(*found, strict=True))
        usual = [
            _usual_drop((listed[0], values[0]), (listed[row], values[row]), engine.shortlist) for row in range(1, rows)
        ]
        return cls(history, scores[0], places[0], scores[0] - scores[1:], places[1:], np.array(usual))


def _standing(
    listed: Listed, values: Values, items: IntArray, unshown: Mask | None, n_items: int
) -> tuple[FloatArray, IntArray]:
    """[n] scores and places of items in a list, counted over those that may be shown; the lowest score and 0 for items
    that are not in it."""
    known = listed >= 0
    place = np.full(n_items, -1)
    place[listed[known]] = np.arange(int(known.sum()))
    shown = known if unshown is None else known & ~unshown[listed]
    ahead: IntArray = np.cumsum(shown) - shown
    lowest = float(values[known][-1]) if known.any() else 0.0
    at = place[items]
    scores = np.where(at >= 0, values[at], lowest).astype(np.float64)
    return scores, np.where(at >= 0, 1 + ahead[at], 0)


def _usual_drop(whole: tuple[Listed, Values], without: tuple[Listed, Values], most: int) -> float:
    """Median loss of score of the first `most` items that both lists hold; 0 if there are none."""
    (items, values), (others, rest) = ((listed[:most], scores[:most]) for listed, scores in (whole, without))
    _, one, other = np.intersect1d(items[items >= 0], others[others >= 0], return_indices=True)
    return float(np.median(values[one] - rest[other])) if len(one) else 0.0
