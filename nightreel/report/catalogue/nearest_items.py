"""The items whose content is nearest to an item, and what the two have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightreel.report.catalogue.tables import Row, Vectors

BLOCK = 65_536
"""Rows of vectors that are looked at together: memory does not grow with the catalogue."""
ALIKE = 0.6
"""Least cosine of two items' pictures that is named: of one video's frames it is some 0.9, of different ones 0.3."""
NAMED = 3


@dataclass(frozen=True)
class Neighbour:
    """Row of the catalogue and cosine."""

    row: int
    cosine: float


def nearest(vectors: Vectors, rows: Sequence[int], k: int) -> list[list[Neighbour]]:
    """The k nearest other items of each of `rows`, exactly, the nearest first; vectors: [n, dim] of unit length."""
    asked = np.asarray(vectors[list(rows)], np.float32)
    scores = np.full((len(rows), 0), 0.0, np.float32)
    items = np.empty((len(rows), 0), np.int64)
    for start in range(0, len(vectors), BLOCK):
        part = asked @ np.asarray(vectors[start : start + BLOCK], np.float32).T
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
    """What two rows of `Catalogue.rows` share, in words; empty where only their vectors say that they are near."""
    mine, theirs = one["derived"], other["derived"]
    told = [
        _both("by", one, other, "creators"),
        _both("both", one, other, "genres"),
        _both("tagged", {"tags": _tags(one)}, {"tags": _tags(other)}, "tags"),
        _both("about", mine, theirs, "keywords"),
    ]
    pictures = _cosine(mine.get("picture"), theirs.get("picture"))
    if pictures >= ALIKE:
        told.append(f"pictures alike ({pictures:.2f})")
    for name, row in (("media_type", other), ("language", other)):
        if one.get(name) and row.get(name) and one[name] != row[name]:
            told.append(f"across {'media' if name == 'media_type' else 'languages'}: {row[name]}")
    return [each for each in told if each]


def _tags(row: Row) -> list[str]:
    """Learned tags that the genres do not say already."""
    genres = {genre.casefold() for genre in row.get("genres") or ()}
    found = dict.fromkeys([*(row.get("tags") or ()), *(row["derived"].get("tags") or ())])
    return [tag for tag in found if tag.casefold() not in genres]


def _both(word: str, one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> str:
    theirs = {each.casefold() for each in other.get(name) or ()}
    shared = [each for each in dict.fromkeys(one.get(name) or ()) if each.casefold() in theirs]
    return f"{word} {', '.join(shared[:NAMED])}" if shared else ""


def _cosine(one: Sequence[float] | None, other: Sequence[float] | None) -> float:
    return float(np.dot(one, other)) if one and other else 0.0
