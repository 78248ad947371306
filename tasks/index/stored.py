"""Answers computed with the bundle: the known users' lists and every item's neighbours, read instead of computed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.index.bundle import read_manifest, seal
from tasks.index.clock import Clock, tonight
from tasks.index.item_table import ItemTable, Mask
from tasks.index.lists import TopK
from tasks.models.candidates import top_items
from tasks.models.vectors import BASE

if TYPE_CHECKING:
    from tasks.index.reader import Reader

LENGTH = 100  # places in a user's list: as many as a wished list is chosen from
NEAR = 64  # neighbours of an item: some to spare for those that may not be shown
MOST_ITEMS = 200_000  # every item is compared with every other: 100,000 x 384 take minutes
ROWS = 1024  # users or items answered at once
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


def precompute(folder: Path, reader: Reader, base: Path | None = None) -> str:
    """Add to a sealed bundle what its reader answers tonight; returns the new digest. No clock has a say: what time
    takes away or brings is seen to on reading.

    base: an earlier version; its neighbours are used again where the vectors that they were computed from are.
    """
    _write(folder / LISTS, _lists(reader))
    if base is not None and (base / NEIGHBOURS).is_dir() and _sha256(base) == _sha256(folder):
        shutil.copytree(base / NEIGHBOURS, folder / NEIGHBOURS)
    elif 1 < len(reader.items) <= MOST_ITEMS:
        _write(folder / NEIGHBOURS, _neighbours(np.load(folder / BASE, mmap_mode="r", allow_pickle=False)))
    config = read_manifest(folder).config
    return seal(folder, config | {"moment": tonight(config["clock"])})


def _sha256(folder: Path) -> str:
    """Of the vectors that neighbours are computed from."""
    return str(read_manifest(folder).files[BASE]["sha256"])


def _lists(reader: Reader) -> list[TopK]:
    rows, without = np.arange(len(reader.users) + 1), never_again(reader.items, reader.clock)
    found = []
    for start in range(0, len(rows), ROWS):
        part, seen = rows[start : start + ROWS], reader.users.seen if reader.config["exclude_seen"] else None
        past, exclude = reader.users.histories.take(part), None if seen is None else seen.take(part)
        moments, hidden = reader.clock.moments(past, None), without if without.any() else None
        found.append(reader.top(past, moments, exclude, LENGTH, "blend", hidden))
    return found


def _neighbours(vectors: npt.NDArray[np.float32]) -> list[TopK]:
    """By cosine, exactly; ties to the lower index."""
    n, whole = len(vectors), np.asarray(vectors)
    found = []
    for start in range(0, n, ROWS):
        scores = whole[start : start + ROWS] @ whole.T
        scores[np.arange(len(scores)), start + np.arange(len(scores))] = -np.inf
        items = top_items(scores, min(NEAR, n - 1))
        found.append(TopK(items, np.take_along_axis(scores, items, axis=1)))
    return found


def _write(folder: Path, parts: list[TopK]) -> None:
    folder.mkdir()
    np.save(folder / "items.npy", np.concatenate([part.items for part in parts]), allow_pickle=False)
    np.save(folder / "scores.npy", np.concatenate([part.scores for part in parts]), allow_pickle=False)


def _read(folder: Path) -> TopK | None:
    if not folder.is_dir():
        return None
    return TopK(*(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("items", "scores")))
