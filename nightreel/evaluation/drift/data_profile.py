"""The profile of a data set: counts and histograms, small enough to publish, for comparison on later nights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.drift.histogram import Histogram, spread_of_labels, spread_of_numbers

Mask = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]
CONTENT = "content"  # prefix of the names of content histograms
SAMPLE = 2000  # items from which the directions are computed
DIRECTIONS = 3
HOUR, HOURS = 3600.0, 24
HOURS_NAME = "hour of the day"
ITEM_LABELS = ("genres", "language", "media_type")
EVENT_LABELS = ("device", "region", "variant")
MANY = 20
"""Least number of users with a label of events that a published profile names."""
Values = FloatArray | tuple[Mapping[str, int], int]
"""Numbers with NaN for unknown, or (label → count, unknown)."""


def directions_of(vectors: Vectors) -> Vectors:
    """[1 + 3, d]: the mean content vector and the principal directions around it, each with a positive largest
    component; zeros if no item has content."""
    filled = vectors[np.flatnonzero(np.abs(vectors).sum(axis=1))]
    found = np.zeros((1 + DIRECTIONS, vectors.shape[1]))
    if len(filled):
        rows = np.unique(np.linspace(0, len(filled) - 1, min(SAMPLE, len(filled))).astype(np.int64))
        part = filled[rows].astype(np.float64)
        found[0] = part.mean(axis=0)
        around = part - found[0]
        _, axes = np.linalg.eigh(around.T @ around)
        best = axes[:, ::-1][:, :DIRECTIONS].T
        signs = np.sign(best[np.arange(len(best)), np.abs(best).argmax(axis=1)])
        found[1 : 1 + len(best)] = best * signs[:, None]
    return found.astype(np.float32)


def projected(vectors: Vectors, directions: Vectors) -> dict[str, FloatArray]:
    """Name → [n] projections of the items on the mean and on each direction; NaN for items without content."""
    mean, *axes = directions
    empty = np.abs(vectors).sum(axis=1) == 0
    length = float(np.linalg.norm(mean)) or 1.0
    along = [vectors @ (mean / length), *((vectors - mean) @ axis for axis in axes)]
    names = [f"{CONTENT}: nearness to the mean", *(f"{CONTENT}: direction {n}" for n in range(1, len(axes) + 1))]
    return {n: np.where(empty, np.nan, value.astype(np.float64)) for n, value in zip(names, along, strict=True)}


def of_events(data: Dataset, rows: IntArray, content: Mapping[str, FloatArray]) -> dict[str, Values]:
    """Name → values of some events [rows of data.events]: type, time, device and so on, and the items' properties."""
    events = data.events.select(
        [n for n in ("event", "item", "time", "value", *EVENT_LABELS) if n in data.events.column_names]
    ).take(pa.array(rows))
    kinds, item = events["event"].cast(pa.string()), events["item"].to_numpy()
    found: dict[str, Values] = {"event": _labels(kinds)}
    number = events["value"].to_numpy().astype(np.float64)
    for kind in sorted(found["event"][0]):
        values = number[pc.equal(kinds, kind).to_numpy()]
        if not np.isnan(values).all():
            found[f"value of {kind}"] = values
    if data.clock == "time":
        found[HOURS_NAME] = np.floor(events["time"].to_numpy() / HOUR) % HOURS
    found |= {name: _labels(events[name]) for name in EVENT_LABELS if name in events.column_names}
    taken = np.bincount(item[item >= 0], minlength=data.n_items)
    found |= {f"{name} of what is taken": _item_labels(data.items[name], taken) for name in _present(data.items)}
    return found | {f"{name}, taken": values[item[item >= 0]] for name, values in content.items()}


def of_snapshot(data: Dataset, content: Mapping[str, FloatArray]) -> dict[str, Values]:
    """Name → values of users and items."""
    items, once = data.items, np.ones(data.n_items, np.int64)
    user, item = data.events["user"].to_numpy(), data.events["item"].to_numpy()
    found: dict[str, Values] = {
        "events of a user": np.bincount(user, minlength=data.n_users).astype(np.float64),
        "events of an item": np.bincount(item[item >= 0], minlength=data.n_items).astype(np.float64),
    }
    found |= {f"{name} of items": _item_labels(items[name], once) for name in _present(items)}
    for name in ("title", "description"):
        if name in items.column_names:
            lengths = pc.utf8_length(items[name]).cast(pa.float64()).fill_null(np.nan)
            found[f"length of {name}"] = lengths.to_numpy()
    if "duration_s" in items.column_names:
        found["duration"] = items["duration_s"].fill_null(np.nan).to_numpy().astype(np.float64)
    return found | {f"{name}, catalogue": values for name, values in content.items()}


def spreads(values: Mapping[str, Values], like: Mapping[str, Histogram] | None = None) -> dict[str, Histogram]:
    """Histograms of the values; with `like`, only those with a histogram in it, over the same bins."""
    names = [name for name in values if like is None or name in like]
    return {name: _spread(values[name], None if like is None else like[name]) for name in names}


def profile(data: Dataset, content: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Schema, row counts and histograms of the whole data set, as JSON."""
    rows = np.arange(data.events.num_rows, dtype=np.int64)
    whole = of_snapshot(data, content) | of_events(data, rows, content)
    found = spreads(whole)
    for name in found.keys() & set(EVENT_LABELS):
        common = _of_many(data.events, name, found[name].marks)
        found[name] = _spread(whole[name], replace(found[name], marks=common))
    return {
        "columns": {"items": filled(data.items), "events": filled(data.events)},
        "rows": {"items": data.n_items, "users": data.n_users, "events": data.events.num_rows},
        "clock": data.clock,
        "data_until": data.data_until,
        "spreads": {name: each.as_json() for name, each in found.items()},
    }


def _of_many(events: pa.Table, name: str, labels: Sequence[Any]) -> tuple[Any, ...]:
    """Those labels that many users have: a profile is published, and a rare one may name a person, as the number of a
    device does. The others are counted together."""
    counted = events.select(["user", name]).group_by(name).aggregate([("user", "count_distinct")])
    users = dict(zip(map(str, counted[name].to_pylist()), counted["user_count_distinct"].to_pylist(), strict=True))
    return tuple(label for label in labels if users[label] >= MANY)


def filled(table: pa.Table) -> dict[str, float]:
    """Share of filled cells by column; empty lists and NaN count as empty."""
    found = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_list(column.type):
            held = pc.sum(pc.greater(pc.list_value_length(column), 0)).as_py() or 0
        elif pa.types.is_floating(column.type):
            held = len(column) - (pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
        else:
            held = len(column) - column.null_count
        found[name] = held / max(len(column), 1)
    return found


def _spread(values: Values, like: Histogram | None) -> Histogram:
    marks: Sequence[Any] | None = None if like is None else like.marks
    if isinstance(values, tuple):
        return spread_of_labels(values[0], values[1], marks)
    return spread_of_numbers(values, marks)


def _present(items: pa.Table) -> Iterable[str]:
    return [name for name in ITEM_LABELS if name in items.column_names]


def _labels(cells: pa.ChunkedArray) -> tuple[dict[str, int], int]:
    counted = pc.value_counts(cells.combine_chunks()).to_pylist()
    known = {str(each["values"]): int(each["counts"]) for each in counted if each["values"] is not None}
    return known, cells.null_count


def _item_labels(cells: pa.ChunkedArray, times: IntArray) -> tuple[dict[str, int], int]:
    """Counts of the items' labels, weighted by `times` [n_items], and the weight of items without labels."""
    counts: Counter[str] = Counter()
    unknown = 0
    for cell, often in zip(cells.to_pylist(), times.tolist(), strict=True):
        labels = cell if isinstance(cell, list) else [] if cell is None else [cell]
        for label in labels:
            counts[str(label)] += often
        unknown += 0 if labels else often
    return {label: count for label, count in counts.items() if count}, unknown
