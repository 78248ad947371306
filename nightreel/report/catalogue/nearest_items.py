"""The items with the most similar content, and the properties that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightreel.report.catalogue.tables import Row, Vectors

BLOCK = 65_536
"""Rows of vectors compared at a time, so that memory does not grow with the catalogue."""
ALIKE = 0.6
"""Lowest cosine at which images count as similar: within one video it is about 0.9, between different ones 0.3."""
NAMED = 3


@dataclass(frozen=True)
class Neighbour:
    """A similar item: its row in the catalogue, and the cosine."""

    row: int
    cosine: float


def nearest(vectors: Vectors, rows: Sequence[int], k: int) -> list[list[Neighbour]]:
    """Find the k nearest other items of each row by exact search.

    Args:
        vectors: [n, dim], of unit length.
        rows: Rows whose neighbours are wanted.
        k: Neighbours of each row.

    Returns:
        The neighbours of each row, the nearest first.
    """
    queries = np.asarray(vectors[list(rows)], np.float32)
    scores = np.full((len(rows), 0), 0.0, np.float32)
    items = np.empty((len(rows), 0), np.int64)
    for start in range(0, len(vectors), BLOCK):
        part = queries @ np.asarray(vectors[start : start + BLOCK], np.float32).T
        at = np.arange(start, start + part.shape[1])
        part[np.asarray(rows)[:, None] == at[None]] = -np.inf
        scores = np.concatenate([scores, part], axis=1)
        items = np.concatenate([items, np.broadcast_to(at, part.shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, items = np.take_along_axis(scores, best, 1), np.take_along_axis(items, best, 1)
    return [
        [Neighbour(int(i), float(v)) for i, v in zip(own, values, strict=True) if np.isfinite(v) and v > 0]
        for own, values in zip(items, scores, strict=True)
    ]


def in_common(one: Row, other: Row) -> list[str]:
    """The properties that two rows of `CatalogueTables.rows` share, in words; empty if only the vectors are similar."""
    mine, theirs = one["derived"], other["derived"]
    shared = [
        _both("by", one, other, "creators"),
        _both("both", one, other, "genres"),
        _both("tagged", {"tags": _tags(one)}, {"tags": _tags(other)}, "tags"),
        _both("about", mine, theirs, "keywords"),
    ]
    pictures = _cosine(mine.get("picture"), theirs.get("picture"))
    if pictures >= ALIKE:
        shared.append(f"similar images ({pictures:.2f})")
    for name, row in (("media_type", other), ("language", other)):
        if one.get(name) and row.get(name) and one[name] != row[name]:
            shared.append(f"other {'medium' if name == 'media_type' else 'language'}: {row[name]}")
    return [text for text in shared if text]


def _tags(row: Row) -> list[str]:
    """The item's given and predicted tags, without those that are also genres."""
    genres = {genre.casefold() for genre in row.get("genres") or ()}
    found = dict.fromkeys([*(row.get("tags") or ()), *(row["derived"].get("tags") or ())])
    return [tag for tag in found if tag.casefold() not in genres]


def _both(word: str, one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> str:
    theirs = {each.casefold() for each in other.get(name) or ()}
    shared = [each for each in dict.fromkeys(one.get(name) or ()) if each.casefold() in theirs]
    return f"{word} {', '.join(shared[:NAMED])}" if shared else ""


def _cosine(one: Sequence[float] | None, other: Sequence[float] | None) -> float:
    return float(np.dot(one, other)) if one and other else 0.0
