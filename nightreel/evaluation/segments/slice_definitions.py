"""Slice definitions: activity, tenure, pause, popularity and age of the test item, and any configured column.

A row with several test items is in the slice of each of their labels; for numbers, in the slice of their mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.tables import EVENTS_TABLE, ITEMS, USERS
from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.data.splits import TEST
from nightreel.durations import in_words
from nightreel.errors import UserError
from nightreel.evaluation.metrics.novelty import audience
from nightreel.evaluation.segments.slices import MOST_VALUES, Slice, number, thirds, values
from nightreel.evaluation.test_set import TestSet

LEARNED = ("train", "valid")
TABLES = {"items": ITEMS, "events": EVENTS_TABLE, "users": USERS}


def slices_of(data: Dataset, trials: Sequence[TestSet], columns: Sequence[str]) -> list[Slice]:
    """Build the slices of the test sets' pooled rows.

    Args:
        data: The data with the named columns.
        trials: Test sets of the protocol's folds.
        columns: `items.language`, `events.device`, `users.country`, …; an optional column that the data lack
            gives no slices.

    Raises:
        UserError: A column is neither in the data nor an optional one.
    """
    for column in columns:
        _known(column, data)
    history = [data.positives(trial.fold, LEARNED) for trial in trials]
    slices = thirds("activity", _pooled([t.histories.lengths.astype(np.float64) for t in trials]), _events)
    slices += values("wanted item", _each([_fame(audience(h, data.n_items)) for h in history], trials))
    if data.clock == "time":
        first = _pooled([t.moments - t.histories.times[t.histories.indptr[:-1]] for t in trials])
        slices += thirds("user since", first, in_words)
        test = [data.positives(t.fold, ("test",)).relevant.take(t.users) for t in trials]
        pause = [h.times[h.indptr[:-1]] - t.histories.last_times for h, t in zip(test, trials, strict=True)]
        slices += thirds("pause before", _pooled(pause), in_words)
        born = _born(data)
        slices += thirds("age of wanted item", _pooled([t.moments - _truth_mean(t, born) for t in trials]), in_words)
    return slices + [each for column in columns for each in _column(data, trials, column)]


def _known(column: str, data: Dataset) -> None:
    table, _, name = column.partition(".")
    profiles = data.profiles.column_names if data.profiles is not None else []
    there = {"items": data.items.column_names, "events": data.events.column_names, "users": profiles}.get(table, [])
    if table not in TABLES or name not in (*TABLES[table].names, *there):
        raise UserError(
            f"params.yaml: evaluate.slices: the data have no column {column!r}. Write items., events. or users. "
            "and the name of a column, such as items.language, events.device or users.country."
        )


def _column(data: Dataset, trials: Sequence[TestSet], column: str) -> list[Slice]:
    """Slices by a column of the test items, of the event to predict (the user's first test event), or of the user."""
    table, _, name = column.partition(".")
    source = {"items": data.items, "events": data.events, "users": data.profiles}[table]
    if source is None or name not in source.column_names:
        return []
    figures = figures_of(source, column)
    if table == "items":
        if figures is not None:
            return thirds(name, _pooled([_truth_mean(t, figures) for t in trials]))
        return values(name, _each([_labels(source[name])] * len(trials), trials))
    if table == "users":
        return _of_users(data, trials, source, column, figures)
    at = np.concatenate([_first_test_events(data, trial) for trial in trials])
    if figures is not None:
        return thirds(name, figures[at])
    return values(name, _labels(source[name].take(pa.array(at))))


def _of_users(
    data: Dataset, trials: Sequence[TestSet], profiles: pa.Table, column: str, figures: FloatArray | None
) -> list[Slice]:
    """Slices by what the table `users` says; users without a row in it are in none."""
    name, at = column.removeprefix("users."), np.concatenate([data.profile_rows[trial.users] for trial in trials])
    if figures is not None:
        return thirds(name, np.where(at >= 0, figures[at], np.nan))
    labels = _labels(profiles[name])
    return values(name, [labels[row] if row >= 0 else [] for row in at.tolist()])


def figures_of(source: pa.Table, column: str) -> FloatArray | None:
    """[n] numbers of a column such as `items.duration_s`, NaN if missing; None if it holds labels.

    A column outside the contract counts as numeric if all of its cells are numbers, and there are more distinct values
    than could have a slice each.
    """
    table, _, name = column.partition(".")
    kind, cells = TABLES[table][name].kind if name in TABLES[table].names else "label", source[name]
    if kind not in ("number", "integer", "label"):
        return None
    if kind == "label" and len(pc.unique(cells).drop_null()) <= MOST_VALUES:
        return None
    try:
        return np.asarray(cells.cast(pa.float64()).fill_null(np.nan).to_numpy())
    except pa.ArrowInvalid:
        return None


def _events(count: float) -> str:
    return f"{number(count)} events"


def _labels(cells: pa.ChunkedArray) -> list[list[str]]:
    plain = [cell if isinstance(cell, list) else [] if cell is None else [cell] for cell in cells.to_pylist()]
    return [[str(label) for label in row] for row in plain]


def _fame(audience_: IntArray) -> list[list[str]]:
    """Popularity class of each item: head, middle and tail hold a third of all (user, item) pairs each."""
    order = np.argsort(-audience_, kind="stable")
    before = np.empty(len(order))
    before[order] = np.concatenate([[0], np.cumsum(audience_[order])[:-1]]) / max(int(audience_.sum()), 1)
    names = ("in the head", "in the middle", "in the tail")
    return [
        ["without events"] if not count else [names[min(int(3 * share), 2)]]
        for count, share in zip(audience_.tolist(), before.tolist(), strict=True)
    ]


def _each(labels: Sequence[list[list[str]]], trials: Sequence[TestSet]) -> list[list[str]]:
    """The labels of each row's test items."""
    rows: list[list[str]] = []
    for own, trial in zip(labels, trials, strict=True):
        found: list[list[str]] = [[] for _ in range(len(trial))]
        for key in trial.truth.keys.tolist():
            found[key // trial.truth.n_items] += own[key % trial.truth.n_items]
        rows += found
    return rows


def _truth_mean(trial: TestSet, figures: FloatArray) -> FloatArray:
    """[n] mean of the values [n_items] over the test items; NaN if one of them is NaN."""
    row, item = np.divmod(trial.truth.keys, trial.truth.n_items)
    return np.bincount(row, figures[item], len(trial)) / np.maximum(trial.truth.counts, 1)


def _born(data: Dataset) -> FloatArray:
    """[n_items] epoch second from which an item exists: its publication, else its first event; NaN without both."""
    first = np.full(data.n_items, np.inf)
    item, time = data.events["item"].to_numpy(), data.events["time"].to_numpy()
    np.minimum.at(first, item[item >= 0], time[item >= 0])
    published = data.items["published_at"].cast(pa.int64()).cast(pa.float64()).fill_null(np.nan).to_numpy() / 1e6
    born = np.where(np.isnan(published), first, published)
    return np.where(np.isfinite(born), born, np.nan)


def _first_test_events(data: Dataset, trial: TestSet) -> IntArray:
    """[n] the row in `data.events` of each user's first positive test event."""
    held_out = (data.folds[trial.fold] == TEST) & data.events["positive"].to_numpy()
    at = np.flatnonzero(held_out & (data.events["item"].to_numpy() >= 0))
    user = data.events["user"].to_numpy()[at]
    return at[np.searchsorted(user, trial.users)]


def _pooled(parts: Sequence[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.empty(0)
