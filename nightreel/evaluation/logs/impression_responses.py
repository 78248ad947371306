"""Attribution: joins logged impressions with responses. The latest impression of an item gets the response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, IntArray

Mask = npt.NDArray[np.bool_]
HOUR = 3600.0


@dataclass(frozen=True)
class Shown:
    """Impressions. rows: [n] of data.events; response: [n] 1 if a positive event followed, else 0."""

    rows: IntArray
    response: FloatArray


def of_kind(data: Dataset, kind: str) -> Mask:
    """[events] whether an event is of a type."""
    found: Mask = pc.equal(data.events["event"].cast(pa.string()), kind).to_numpy()
    return found


def read_impressions(data: Dataset, hours: float) -> Shown:
    """Return every impression of an item with its response within `hours`.

    A positive event is attributed to at most one impression, the latest before it.
    """
    user, item, time = (data.events[name].to_numpy() for name in ("user", "item", "time"))
    impression = of_kind(data, "impression") & (item >= 0)
    answer = data.events["positive"].to_numpy() & (item >= 0) & ~impression
    rows = np.concatenate([np.flatnonzero(impression), np.flatnonzero(answer)])
    is_answer = np.arange(len(rows)) >= int(impression.sum())
    key = user[rows].astype(np.int64) * data.n_items + item[rows]
    order = np.lexsort((is_answer, time[rows], key))
    latest = np.maximum.accumulate(np.where(is_answer[order], -1, np.arange(len(order))))
    found = np.flatnonzero(is_answer[order] & (latest >= 0))
    source, target = order[found], order[latest[found]]
    near = (key[source] == key[target]) & (time[rows[source]] - time[rows[target]] <= hours * HOUR)
    answered = np.zeros(len(rows))
    answered[target[near]] = 1.0
    return Shown(rows[~is_answer], answered[~is_answer])
