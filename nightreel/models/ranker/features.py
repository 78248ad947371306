"""The ranker's features of each pair of history and candidate, computed as of the moment of the request.

Features are comparable across time: ranks, shares, or values relative to the largest of the row or catalogue. So a
ranker trained last week applies tonight, although counts, ages and scores have grown since. NaN means unknown; the
trees learn a default direction for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Catalogue, unit_rows
from nightreel.models.baselines.popularity import DAY, Popularity
from nightreel.models.item_to_item import recency_weights, weighted_matrix
from nightreel.models.ranker.aversion import COLUMNS as AGAINST
from nightreel.models.ranker.aversion import aversion_columns
from nightreel.models.ranker.candidates import Candidates, fused, row_products, times_taken
from nightreel.models.ranker.item_statistics import ItemStatistics

Columns = dict[str, npt.NDArray[np.float32]]
PROFILE_DECAY = 10.0  # in events, of the history that a user's profile features describe


def member_columns(candidates: Candidates, names: Sequence[str]) -> Columns:
    """Of each model the score relative to the row's best and the log rank; and reciprocal rank fusion."""
    columns: Columns = {}
    for at, name in enumerate(names):
        score = candidates.scores[:, at]
        best = candidates.best[candidates.rows, at]
        columns[f"{name}.relative"] = np.where(best > 0, score / np.maximum(best, 1e-12), 0).astype(np.float32)
        columns[f"{name}.rank"] = np.log1p(candidates.ranks[:, at])
    columns["fusion"] = fused(candidates.ranks)
    return columns


def counts_as_of(trend: Popularity, items: npt.NDArray[np.int32], moments: FloatArray) -> npt.NDArray[np.float32]:
    """[p] log(1 + decayed count) of items [p] as of moments [p]."""
    return np.asarray(np.log1p(trend.counts(items, moments)), np.float32)


def item_columns(candidates: Candidates, statistics: ItemStatistics, catalogue: Catalogue, at: FloatArray) -> Columns:
    """Popularity relative to the most popular item for every half-life, its difference between the shortest and the
    longest, the share of known items that are older, and the rank of the release year."""
    rows, items = candidates.rows, candidates.items
    moments = at[rows]
    columns: Columns = {}
    for number, trend in enumerate(statistics.trends):
        most = np.maximum(np.log1p(trend.largest(at))[rows], np.float32(1e-6))
        columns[f"popular.{number}"] = np.asarray(counts_as_of(trend, items, moments) / most, np.float32)
    if statistics.clock:
        columns["rising"] = columns["popular.0"] - columns[f"popular.{len(statistics.trends) - 1}"]
        columns["newness"] = statistics.newness(items, moments)
    columns["year.place"] = catalogue.year_places[items]
    return columns


def legacy_columns(
    candidates: Candidates,
    names: Sequence[str],
    histories: Histories,
    statistics: ItemStatistics,
    catalogue: Catalogue,
    at: FloatArray,
) -> Columns:
    """Features that only rankers of version 0.1 use: absolute scores, counts, ages and years, which grow with time."""
    moments = at[candidates.rows]
    counts = [counts_as_of(trend, candidates.items, moments) for trend in statistics.trends]
    columns: Columns = {f"{name}.score": candidates.scores[:, number] for number, name in enumerate(names)}
    columns |= {f"count.{number}": count for number, count in enumerate(counts)}
    columns["year"] = catalogue.years[candidates.items]
    if statistics.clock:
        columns["trend"] = counts[0] - counts[-1]
        columns["age"] = statistics.ages(candidates.items, moments)
        columns["span"] = np.log1p(np.maximum(histories.last_times - _first_times(histories), 0) / DAY).astype(
            np.float32
        )[candidates.rows]
    return columns


def _first_times(histories: Histories) -> FloatArray:
    """[n] time of each row's first event; NaN for an empty row."""
    first = np.full(len(histories), np.nan)
    filled = histories.lengths > 0
    first[filled] = histories.times[histories.indptr[:-1][filled]]
    return first


def mean_of_history(histories: Histories, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n] decayed mean of values [nnz] by event, ignoring NaN; NaN where all are unknown."""
    weights = recency_weights(histories, PROFILE_DECAY)
    known = ~np.isnan(value)
    rows = histories.rows[known]
    total = np.bincount(rows, weights[known], minlength=len(histories))
    summed = np.bincount(rows, weights[known] * value[known], minlength=len(histories))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (summed / total).astype(np.float32)


def user_columns(candidates: Candidates, histories: Histories, at: FloatArray, clock: bool) -> Columns:
    """Number of events in the history and in its last hour, and days since the last event."""
    rows = candidates.rows
    columns: Columns = {"history": np.log1p(histories.lengths.astype(np.float32))[rows]}
    if clock:
        last = histories.last_times
        columns["gap"] = np.log1p(np.maximum(at - last, 0) / DAY).astype(np.float32)[rows]
        recent = (histories.times >= (last - DAY / 24)[histories.rows]).astype(np.float64)
        sitting = np.bincount(histories.rows, recent, minlength=len(histories))
        columns["sitting"] = np.log1p(sitting).astype(np.float32)[rows]
    return columns


def fit_columns(
    candidates: Candidates, histories: Histories, at: FloatArray, statistics: ItemStatistics, catalogue: Catalogue
) -> Columns:
    """Comparison of candidate and history: release year, popularity, genres, content, and repeats."""
    rows, items, n_items = candidates.rows, candidates.items, catalogue.n_items
    filled = histories.lengths > 0
    last = np.zeros(len(histories), np.int32)
    last[filled] = histories.items[histories.indptr[1:][filled] - 1]
    year, genres, everything = catalogue.years, catalogue.unit_genres, statistics.trends[-1]
    used = counts_as_of(everything, histories.items, at[histories.rows])
    weights = recency_weights(histories, PROFILE_DECAY)
    profile = unit_rows(np.asarray(weighted_matrix(histories, weights, n_items) @ catalogue.genres))
    return {
        "year.from_mean": year[items] - mean_of_history(histories, year[histories.items])[rows],
        "year.from_last": year[items] - year[last][rows],
        "popularity.from_mean": counts_as_of(everything, items, at[rows]) - mean_of_history(histories, used)[rows],
        "genre.profile": row_products(profile, genres, rows, items),
        "genre.last": row_products(genres[last], genres, rows, items),
        "content.last": row_products(catalogue.vectors[last], catalogue.vectors, rows, items),
        "repeats": times_taken(histories, candidates, n_items),
    }


def feature_matrix(
    candidates: Candidates,
    names: Sequence[str],
    histories: Histories,
    moments: FloatArray,
    statistics: ItemStatistics,
    catalogue: Catalogue,
    wanted: Sequence[str] = (),
) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Compute the ranker's features.

    Args:
        candidates: p candidates of n rows.
        names: Models, in the order of the candidates' scores.
        histories: n rows.
        moments: [n] time of each request.
        statistics: Item statistics.
        catalogue: The items.
        wanted: The columns of a trained ranker, possibly of an earlier release; empty: all current ones.

    Returns:
        Names of the columns, and the features float32 [p, columns].

    Raises:
        ValueError: A wanted column can't be computed from these models.
    """
    columns = member_columns(candidates, names)
    columns |= item_columns(candidates, statistics, catalogue, moments)
    columns |= user_columns(candidates, histories, moments, statistics.clock)
    columns |= fit_columns(candidates, histories, moments, statistics, catalogue)
    if statistics.negatives is not None or any(name in AGAINST for name in wanted):
        columns |= aversion_columns(candidates, histories, moments, statistics, catalogue)
    if not columns.keys() >= set(wanted):
        columns |= legacy_columns(candidates, names, histories, statistics, catalogue, moments)
    if missing := sorted(set(wanted) - columns.keys()):
        raise ValueError(f"the ranker was trained on other features: {missing}")
    kept = {name: columns[name] for name in wanted} if wanted else columns
    return tuple(kept), np.column_stack(list(kept.values())).astype(np.float32)
