"""Precomputed results in a bundle: the known users' lists and every item's neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.bundle.clock import Clock, tonight
from nightreel.bundle.item_table import ItemTable, Mask
from nightreel.models.mapped_arrays import map_array
from nightreel.models.top_k import TopK

LISTS, NEIGHBOURS = "lists", "neighbours"


@dataclass(frozen=True, eq=False)
class Stored:
    """Precomputed results, memory-mapped; None where a bundle has none.

    Attributes:
        lists: LENGTH items per user for the end of the data, and a last row for all unknown users; 800 bytes per row.
        neighbours: NEAR items per item, nearest first, without the item itself and regardless of rights; 512 bytes per
            row.
        without: [n_items] items that were left out of the lists.
    """

    lists: TopK | None
    neighbours: TopK | None
    without: Mask

    @classmethod
    def read(cls, folder: Path, items: ItemTable, config: Mapping[str, Any]) -> Stored:
        """Read from a bundle's folder. items: with the bundle's own rights."""
        # Early releases computed lists as of each user's last event, which are not usable here.
        lists = _read(folder / LISTS) if config.get("moment") == tonight(config["clock"]) else None
        return cls(lists, _read(folder / NEIGHBOURS), never_again(items, Clock.of(config)))


def never_again(items: ItemTable, clock: Clock) -> Mask:
    """[n] items that are left out of precomputed lists: blocked ones, and those that had expired at the end of the
    data. All others may become visible while the version is served; hidden ones are removed when a list is read."""
    return items.blocked if clock.ordered else items.gone(clock.until)


def _read(folder: Path) -> TopK | None:
    if not folder.is_dir():
        return None
    return TopK(*(map_array(folder / f"{name}.npy") for name in ("items", "scores")))
