"""Places for new items: every so-many-th place of a list is kept for an item with few events that fits the history.

A ranker learns from events, and so ranks an item without any where such items usually ended: far below the items that
everybody takes, however well it fits. Lists therefore keep places for new items, as shops do with "new for you". A
place is used only where a new item fits better than nearly all of the catalogue, old items included, in the judgement
of the models that need no events: it is among the first by words, which know names (a sequel, an artist's next album),
or where vectors and words agree. Further down, so many items would fit by chance that the places cost quality; only the
very first would be too few, since the other films of a series are as near to the history as its new one and stand
before it by chance. Once an item has some events, the ranker knows it.

What the places cost is measured on validation, see nightreel.models.training.model_selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.baselines.popularity import DAY
from nightreel.models.ranker.candidates import Candidates
from nightreel.models.ranker.item_statistics import ItemStatistics

WORDS = "tfidf_knn"
BY_CONTENT = ("content_knn", WORDS)
"""Models that need no events."""
NEAREST = 10  # an item that fits has a lower rank by words, or a lower mean rank, of the whole catalogue
FEW, RECENT_DAYS = 5, 14.0  # an item with fewer events is new, if its first one is no older


def fitting(
    rows: IntArray,
    items: IntArray,
    ranks: npt.NDArray[np.float32],
    moments: FloatArray,
    statistics: ItemStatistics,
    members: Sequence[str],
    histories: Histories,
) -> FloatArray:
    """How well each candidate fits as a new item.

    Args:
        rows: [p] the candidates' rows.
        items: [p] the candidates.
        ranks: [p, models] their ranks.
        moments: [n] time of each request.
        statistics: Item statistics.
        members: Names of the models.
        histories: n rows; where lists may repeat, a new item does not compete with what its row knows already.

    Returns:
        [p] its rank by words or its mean rank, 0 for the best; inf for an item that is not new or does not fit.
    """
    at = [number for number, name in enumerate(members) if name in BY_CONTENT]
    if not at:
        return np.full(len(rows), np.inf)
    by_content = _without_known(rows, items, ranks[:, at], histories)
    rank = by_content.mean(axis=1, dtype=np.float64)
    if WORDS in members:
        rank = np.minimum(rank, by_content[:, [members[number] for number in at].index(WORDS)])
    rank[rank >= NEAREST] = np.inf
    near = np.flatnonzero(np.isfinite(rank))
    nearest, when = items[near].astype(np.int32), moments[rows[near]]
    events = statistics.trends[-1].counts(nearest, when)
    recent = (when - statistics.first[nearest]) <= RECENT_DAYS * DAY if statistics.clock else np.zeros(len(near), bool)
    new = (events <= 0) | ((events < FEW) & recent)
    found = np.full(len(rank), np.inf)
    found[near[new]] = rank[near[new]]
    return found


def _without_known(
    rows: IntArray, items: IntArray, ranks: npt.NDArray[np.float32], histories: Histories
) -> npt.NDArray[np.float32]:
    """[p, models] ranks among the candidates that are not in the history of their row."""
    many = int(max(items.max(initial=0), histories.items.max(initial=0))) + 1
    known = np.isin(rows * many + items, histories.rows * many + histories.items)
    if not known.any():
        return ranks
    begins = np.searchsorted(rows, rows)
    fewer = ranks.copy()
    for number in range(ranks.shape[1]):
        order = np.lexsort((ranks[:, number], rows))
        before: IntArray = np.cumsum(known[order]) - known[order]
        fewer[order, number] -= before - before[begins]
    return fewer


def with_places(candidates: Candidates, scores: npt.NDArray[np.float32], every: int) -> npt.NDArray[np.float32]:
    """Raise new items into the places kept for them.

    A place stays with the ranking where the list has a new item for it already, or none fits. The displaced item and
    those below it move down by one.

    Args:
        candidates: p candidates of n rows.
        scores: [p] of the ranker.
        every: The places are `every`, 2 x `every`, …, counted from 1.

    Returns:
        [p] scores whose order is that of the lists.
    """
    fits = candidates.fits
    if fits is None:
        return scores
    raised = scores.copy()
    for row in np.unique(candidates.rows[np.isfinite(fits)]).tolist():
        start, end = np.searchsorted(candidates.rows, [row, row + 1])
        raised[start:end] = _row(scores[start:end], fits[start:end], every)
    return raised


def _row(scores: npt.NDArray[np.float32], fits: FloatArray, every: int) -> npt.NDArray[np.float32]:
    """The scores of one row: the items in their new order get the old scores' values, or one just above, in order."""
    order = np.argsort(-scores, kind="stable").tolist()
    waiting = [at for at in np.lexsort((-scores, fits)).tolist() if np.isfinite(fits[at])]
    for place in range(every - 1, len(order), every):
        shown = set(order[: place + 1])
        waiting = [at for at in waiting if at not in shown]
        since = order[place + 1 - every : place + 1]
        if not waiting:
            break
        if not any(np.isfinite(fits[at]) for at in since):
            order.remove(waiting[0])
            order.insert(place, waiting[0])
    placed = np.empty_like(scores)
    placed[order] = np.sort(scores)[::-1]
    return _strictly(placed, order)


def _strictly(scores: npt.NDArray[np.float32], order: list[int]) -> npt.NDArray[np.float32]:
    """Lower equal scores a little, so that ties can't change the order."""
    for above, below in pairwise(order):
        if scores[below] >= scores[above]:
            scores[below] = np.nextafter(scores[above], np.float32(-np.inf))
    return scores
