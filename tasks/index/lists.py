"""What a reader answers with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LISTS = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("rank", pa.int32()), ("score", pa.float32())])
"""Many users' lists as one table; rank from 1."""


@dataclass(frozen=True)
class Recommendation:
    """One item of a list; rank from 1. reason: "for you", or "popular" where there is no history to go by."""

    item_id: str
    title: str
    rank: int
    score: float
    reason: str


@dataclass(frozen=True)
class Similar:
    """An item near another one; score: cosine of their content vectors."""

    item_id: str
    title: str
    score: float


@dataclass(frozen=True, eq=False)
class TopK:
    """Lists of n rows, best first: items [n, k] int32, -1 where there are no more; scores [n, k] float32."""

    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
