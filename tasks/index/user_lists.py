"""The known users' lists, computed with the bundle: what is asked most is answered by reading one row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.index.bundle import read_manifest, seal

if TYPE_CHECKING:
    from tasks.index.reader import Reader

LENGTH = 100  # places in a list: as many as a wished list is chosen from
ROWS = 1024  # users answered at once
FOLDER = "lists"


@dataclass(frozen=True, eq=False)
class UserLists:
    """A row a user and a last one for everybody unknown: items int32 [n + 1, LENGTH], -1 where there are no more;
    scores float32 alike. 800 bytes a user; memory-mapped."""

    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]

    @classmethod
    def read(cls, folder: Path) -> UserLists | None:
        """Of a bundle's folder; None where it was written without."""
        if not (folder / FOLDER).is_dir():
            return None
        items, scores = (
            np.load(folder / FOLDER / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("items", "scores")
        )
        return cls(items, scores)


def precompute(folder: Path, reader: Reader) -> str:
    """Add to a sealed bundle what its reader answers each user with, as it was evaluated; returns the new digest."""
    rows = np.arange(len(reader.users) + 1)
    without = bool(reader.config["exclude_seen"])
    found = []
    for start in range(0, len(rows), ROWS):
        past, exclude, moments = reader.known(rows[start : start + ROWS], None, without)
        expiry = reader.clock.expiry(len(past), None)
        found.append(reader.top(past, moments, exclude, LENGTH, "blend", expiry))
    (folder / FOLDER).mkdir()
    np.save(folder / FOLDER / "items.npy", np.concatenate([each.items for each in found]), allow_pickle=False)
    np.save(folder / FOLDER / "scores.npy", np.concatenate([each.scores for each in found]), allow_pickle=False)
    return seal(folder, read_manifest(folder).config)
