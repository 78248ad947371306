"""Precomputed results in a bundle: the known users' lists and every item's neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nightreel.bundle.clock import Clock, tonight
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.models.top_k import TopK

LISTS, NEIGHBOURS = "lists", "neighbours"


@dataclass(frozen=True, eq=False)
class Stored:
    """lists: a row of LENGTH a user for tonight, and one more for everybody unknown, 800 bytes each; neighbours: a row
    of NEAR an item, nearest first, 512 bytes each, without the item itself, whatever may be shown. None where a bundle
    was written without. Memory-mapped. without: [n_items] what the lists were computed without."""

    lists: TopK | None
    neighbours: TopK | None
    without: Mask

    @classmethod
    def read(cls, folder: Path, items: ItemTable, config: Mapping[str, Any]) -> Stored:
        """Of a bundle's folder. items: with the rights that the bundle itself gives them."""
        # An earlier Nightreel computed lists as of each user's last event where it had evaluated so: of no use tonight.
        lists = _read(folder / LISTS) if config.get("moment") == tonight(config["clock"]) else None
        return cls(lists, _read(folder / NEIGHBOURS), never_again(items, Clock.of(config)))


def never_again(items: ItemTable, clock: Clock) -> Mask:
    """[n] what lists are computed without: blocked items, and what had expired when the data ended. All else may come
    to be shown while the version is served, and is left out when a list is read."""
    return items.blocked if clock.ordered else items.gone(clock.until)


def _read(folder: Path) -> TopK | None:
    if not folder.is_dir():
        return None
    return TopK(*(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("items", "scores")))
