"""What may be shown today: the gate judges recommenders by it, champion and challenger alike, never by their rights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.data.hidden_tonight import FILE
from nightreel.stage import read_json

Mask = npt.NDArray[np.bool_]


def hidden_today(snapshot: Path) -> frozenset[str]:
    """Ids of the items that nobody may be shown at the night's now, as snapshot pinned them."""
    return frozenset(read_json(snapshot / FILE)["hidden"])


def mask_of(item_ids: Collection[str], hidden: Collection[str]) -> Mask:
    """[n] whether each item is hidden."""
    return np.fromiter((item in hidden for item in item_ids), bool, len(item_ids))
