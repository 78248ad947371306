"""Drift of the blend's features between learning and refit: population stability index over candidate features.

PSI = Σ (p - q) ln(p / q) over quantile bins of the reference (Lewis, "An Introduction to Credit Scoring", 1994).
Columns that describe the user alone are left out: who will ask tomorrow is not known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.data.histories import FloatArray
from tasks.models.engine import Engine
from tasks.models.positions import Positions

POSITIONS = 300  # histories whose candidates are compared
BINS = 10
FLOOR = 1e-4  # share of an empty bin, so that the logarithm stays finite
OF_USERS = frozenset({"history", "gap", "span", "sitting"})


def sample(engine: Engine, positions: Positions) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Feature columns and rows of the candidates at up to POSITIONS evenly spaced positions."""
    rows = np.unique(np.linspace(0, len(positions) - 1, min(POSITIONS, len(positions))).astype(np.int64))
    part = positions.take(rows)
    _, columns, matrix = engine.candidates(part.histories, part.moments, part.histories)
    return columns, matrix


def shares(values: npt.NDArray[np.float32], edges: FloatArray) -> FloatArray:
    """[bins + 1] share of values per bin, unknown ones (NaN) in the last."""
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)) / max(len(values), 1)


def reference_of(engine: Engine, positions: Positions) -> dict[str, Any]:
    """Quantile edges and shares by feature, to be kept with the choices; empty without positions."""
    if not len(positions):
        return {}
    columns, matrix = sample(engine, positions)
    kept: dict[str, Any] = {}
    for at, name in enumerate(columns):
        known = matrix[:, at][~np.isnan(matrix[:, at])].astype(np.float64)
        if name in OF_USERS or not len(known):
            continue
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
        kept[name] = {"edges": edges.tolist(), "shares": shares(matrix[:, at], edges).tolist()}
    return kept


def stability(reference: dict[str, Any], engine: Engine, positions: Positions) -> dict[str, float]:
    """PSI by feature of an engine's candidates against the reference; 0 is equal, above 0.25 is a shift."""
    if not reference or not len(positions):
        return {}
    columns, matrix = sample(engine, positions)
    found = {}
    for at, name in enumerate(columns):
        if name not in reference:
            continue
        p = np.maximum(shares(matrix[:, at], np.asarray(reference[name]["edges"])), FLOOR)
        q = np.maximum(np.asarray(reference[name]["shares"]), FLOOR)
        found[name] = float(((p - q) * np.log(p / q)).sum())
    return found
