"""Gains: how much an event says that its user took to the item, from 0 to 1.

A positive event is one that models learn from. Where a platform starts what it shows by itself, a watch of three
seconds is among them: it tells what was shown together, and so what belongs together, but not that the user wanted it.
Its gain says so. Models weigh events by it, popularity counts it, and only events with a gain of RELEVANT or more are
what validation, test and gate expect of a list.

Graded relevance: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (4), 2002.
Weights of implicit feedback: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM
2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Gains = npt.NDArray[np.float32]
RELEVANT = 0.5
"""Least gain of an event that a list is meant to bring."""
LEAST_WEIGHT = 0.2
"""Weight of an event without any gain where models learn what belongs together: it was met at the same time."""
OWN = "value"
SCALES = {"rating": 5.0}
"""Largest value of event types whose values are not shares."""


def gains_of(events: pa.Table, settings: Mapping[Any, Any]) -> Gains:
    """The gain of each event of a log.

    Args:
        events: Clean events with the columns `event` and `value`.
        settings: By event type the gain of each such event, or `value` for the event's own: the fraction that was
            watched, or the rating as a share of the highest one. An event without a value counts fully, and so do types
            that are not named.

    Returns:
        [n] float32 from 0 to 1.

    Example:
        >>> log = pa.table({"event": ["watch", "watch", "like"], "value": pa.array([0.25, None, None], pa.float32())})
        >>> gains_of(log, {"watch": "value"}).tolist()
        [0.25, 1.0, 1.0]
    """
    gains = np.ones(events.num_rows, np.float32)
    value = np.asarray(pc.fill_null(events["value"], float("nan")).to_numpy(), np.float32)
    for event, gain in settings.items():
        of_type = pc.equal(events["event"], event).to_numpy()
        own = np.nan_to_num(value / np.float32(SCALES.get(event, 1.0)), nan=1.0) if gain == OWN else np.float32(gain)
        gains = np.where(of_type, np.clip(own, 0.0, 1.0), gains).astype(np.float32)
    return gains


def weights_of(gains: Gains | None) -> npt.NDArray[np.float64] | None:
    """Weights of events where models learn what belongs together, from LEAST_WEIGHT to 1; None where all are equal."""
    return None if gains is None else LEAST_WEIGHT + (1.0 - LEAST_WEIGHT) * gains.astype(np.float64)
