"""The ranker's features of what users turned down: dislikes, skips, low ratings and broken-off watches.

Like positive events, a history's negative ones are those before the request, and items' counts are those of slices of
time that ended before its moment. Where the log has no negative events, these columns are left out.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue, unit_rows
from nightreel.models.baselines.popularity import Popularity
from nightreel.models.item_to_item import recency_weights, weighted_matrix
from nightreel.models.ranker.candidates import Candidates, row_products, times_taken
from nightreel.models.ranker.item_statistics import ItemStatistics

Columns = dict[str, npt.NDArray[np.float32]]
Floats = npt.NDArray[np.float32]
NEAREST = 20  # newest events, liked and turned down, that a candidate's content is compared with
PROFILE_DECAY = 10.0  # in events, of what describes a taste in genres
USUAL = 10.0  # meetings with the usual share of negative ones that every item is given: few say little
CONTENT, GENRE, SHARE, OWN = "turned_down.content", "turned_down.genre", "turned_down.share", "turned_down.own"
NAMES = {
    CONTENT: "content like what was turned down",
    GENRE: "genres of what was turned down",
    SHARE: "how often others turned it down",
    OWN: "how often the user turned it down",
}
COLUMNS = tuple(NAMES)


def aversion_columns(
    candidates: Candidates, histories: Histories, moments: npt.NDArray[np.float64], stats: ItemStatistics, of: Catalogue
) -> Columns:
    """Whether a candidate is more like what the user turned down than like what they took to, in content and in genres;
    how often others turned it down; and how often this user did.

    Args:
        candidates: p candidates of n rows.
        histories: n rows, with negative events; without any, only SHARE is known.
        moments: [n] time of each request.
        stats: Item statistics, with negative events.
        of: The items.
    """
    none = np.full(len(candidates.rows), np.nan, np.float32)
    against = histories.negatives
    columns = {CONTENT: none, GENRE: none, SHARE: none, OWN: np.zeros_like(none)}
    if stats.negatives is not None:
        columns[SHARE] = _share(candidates, moments, stats.negatives, stats.trends[-1])
    if against is None or not len(against.items):
        return columns
    some, liked = (against.lengths > 0)[candidates.rows], _without(histories, against, of.n_items)
    content = _nearest(candidates, against, of.vectors) - np.nan_to_num(_nearest(candidates, liked, of.vectors))
    tastes = _genres(against, of) - _genres(liked, of)
    genre = row_products(tastes, of.unit_genres, candidates.rows, candidates.items)
    return columns | {
        CONTENT: np.where(some, content, np.nan).astype(np.float32),
        GENRE: np.where(some, genre, np.nan).astype(np.float32),
        OWN: times_taken(against, candidates, of.n_items),
    }


def _without(histories: Histories, against: Histories, n_items: int) -> Histories:
    """Positive events on items that the same user did not turn down: a film may be watched and rated low."""
    return histories.where(~np.isin(histories.rows * n_items + histories.items, against.rows * n_items + against.items))


def _share(
    candidates: Candidates, moments: npt.NDArray[np.float64], negatives: Popularity, positives: Popularity
) -> Floats:
    """[p] share of an item's meetings that were negative, less the usual one of that moment."""
    at = moments[candidates.rows]
    bad, good = (trend.counts(candidates.items, at) for trend in (negatives, positives))
    all_bad, all_good = (trend.totals(moments)[candidates.rows] for trend in (negatives, positives))
    usual = all_bad / np.maximum(all_bad + all_good, 1.0)
    return np.asarray((bad + USUAL * usual) / (bad + good + USUAL) - usual, np.float32)


def _nearest(candidates: Candidates, histories: Histories, vectors: Floats) -> Floats:
    """[p] largest cosine of a candidate with one of the row's NEAREST newest events; NaN for an empty row."""
    found = np.full(len(candidates.rows), np.nan, np.float32)
    ends = np.searchsorted(candidates.rows, np.arange(len(histories) + 1))
    for row, (start, end) in enumerate(pairwise(ends.tolist())):
        last = histories.items[histories.indptr[row] : histories.indptr[row + 1]][-NEAREST:]
        if len(last) and end > start:
            found[start:end] = (vectors[candidates.items[start:end]] @ vectors[last].T).max(axis=1)
    return found


def _genres(histories: Histories, of: Catalogue) -> Floats:
    """[n, genres] the newest events' genres, of unit length."""
    weights = recency_weights(histories, PROFILE_DECAY)
    return unit_rows(np.asarray(weighted_matrix(histories, weights, of.n_items) @ of.genres))
