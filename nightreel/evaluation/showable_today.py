"""Items that may be shown today: champion and challenger are compared on these only, so that rights do not matter."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.data.hidden_tonight import FILE
from nightreel.stage import read_json

Mask = npt.NDArray[np.bool_]


def hidden_today(snapshot: Path) -> frozenset[str]:
    """Ids of the items that may not be shown at the time of the run, as pinned by snapshot."""
    return frozenset(read_json(snapshot / FILE)["hidden"])


def mask_of(item_ids: Collection[str], hidden: Collection[str]) -> Mask:
    """[n] whether each item is hidden."""
    return np.fromiter((item in hidden for item in item_ids), bool, len(item_ids))
