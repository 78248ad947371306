"""Which events count as positive, negative and seen, by parameters per event type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.data.casting import mask_of
from tasks.data.marks import Mask

REPEATED = ("music", "podcast")
"""Media that people come back to: where most items are such, lists may repeat what was seen."""


def at_least(events: pa.Table, thresholds: Mapping[Any, float]) -> Mask:
    """[n] events of a listed type whose value reaches its threshold; an event without a value (NaN) does."""
    reached = np.zeros(events.num_rows, bool)
    for event, least in thresholds.items():
        enough = pc.or_(pc.greater_equal(events["value"], np.float32(least)), pc.is_nan(events["value"]))
        reached |= mask_of(pc.and_(pc.equal(events["event"], event), enough))
    return reached


def of_types(events: pa.Table, types: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """[n] events of one of the types."""
    return mask_of(pc.is_in(events["event"], pa.array(types, pa.string())))


def leaves_out_seen(setting: str, media_types: pa.ChunkedArray) -> bool:
    """exclude_seen, decided: `auto` is on unless most items are music or podcasts."""
    if setting != "auto":
        return setting == "on"
    return 2 * int(mask_of(pc.is_in(media_types, pa.array(REPEATED))).sum()) <= len(media_types)
