"""Compute what is stored in a bundle: the known users' lists and every item's neighbours."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.bundle.clock import tonight
from nightreel.bundle.format import read_manifest, seal
from nightreel.bundle.precomputed import LISTS, NEIGHBOURS, never_again
from nightreel.models.content_vectors import BASE
from nightreel.models.mapped_arrays import map_array
from nightreel.models.top_k import TopK, top_items
from nightreel.reader.open_bundle import OpenBundle

LENGTH = 100  # places in a user's list: as many as the pool from which options select
NEAR = 64  # neighbours per item: more than are usually needed, since some may not be shown
MOST_ITEMS = 200_000  # every item is compared with every other: 100,000 x 384 take minutes
ROWS = 1024  # users or items per block


def precompute(folder: Path, bundle: OpenBundle, base: Path | None = None) -> str:
    """Add the lists and neighbours to a sealed bundle.

    Time plays no part: items that become visible or hidden later are handled when a list is read.

    Args:
        folder: The bundle's folder.
        bundle: The open bundle.
        base: An earlier version; its neighbours are reused if its vectors are unchanged.

    Returns:
        The new digest.
    """
    _write(folder / LISTS, _lists(bundle))
    if base is not None and (base / NEIGHBOURS).is_dir() and _sha256(base) == _sha256(folder):
        shutil.copytree(base / NEIGHBOURS, folder / NEIGHBOURS)
    elif 1 < len(bundle.items) <= MOST_ITEMS:
        _write(folder / NEIGHBOURS, _neighbours(map_array(folder / BASE)))
    config = read_manifest(folder).config
    return seal(folder, config | {"moment": tonight(config["clock"])})


def _sha256(folder: Path) -> str:
    """SHA-256 of the vectors from which neighbours are computed."""
    return str(read_manifest(folder).files[BASE]["sha256"])


def _lists(bundle: OpenBundle) -> list[TopK]:
    rows, without = np.arange(len(bundle.users) + 1), never_again(bundle.items, bundle.clock)
    found = []
    for start in range(0, len(rows), ROWS):
        part, seen = rows[start : start + ROWS], bundle.users.seen if bundle.config["exclude_seen"] else None
        past, exclude = bundle.users.histories.take(part), None if seen is None else seen.take(part)
        moments, hidden = bundle.clock.moments(past, None), without if without.any() else None
        found.append(bundle.top(past, moments, exclude, LENGTH, "blend", hidden))
    return found


def _neighbours(vectors: npt.NDArray[np.float32]) -> list[TopK]:
    """Exact nearest neighbours by cosine; ties go to the lower index."""
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
