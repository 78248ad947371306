"""Histories with two tastes and an order, a catalogue that tells the tastes apart, and an engine over both."""

from __future__ import annotations

from functools import cache

import numpy as np

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.engine import Engine
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.selected_params import SelectedParams

DAY = 86_400.0
ITEMS = 60


@cache
def histories(users: int = 80, steps: int = 12) -> Histories:
    """Even users take even items, each walking its taste's ring from a random start, one item a day."""
    rng = np.random.default_rng(7)
    rows = []
    for user in range(users):
        ring = (rng.integers(0, ITEMS // 2) + np.arange(steps)) % (ITEMS // 2)
        rows.append(((2 * ring + user % 2).tolist(), (1e9 + DAY * (user % 30 + np.arange(steps))).tolist()))
    return Histories.from_rows(rows)


@cache
def catalogue() -> Catalogue:
    """Vectors near one of two directions, by taste."""
    rng = np.random.default_rng(8)
    vectors = np.eye(2, 16)[np.arange(ITEMS) % 2] + 0.1 * rng.normal(size=(ITEMS, 16))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    years = np.linspace(1950, 2020, ITEMS, dtype=np.float32)
    return Catalogue(unit, np.eye(2, dtype=np.float32)[np.arange(ITEMS) % 2], years)


def choices(blend: str = "fusion") -> SelectedParams:
    """Every member with a plain setting."""
    closed = {"regularization": 5.0, "decay": 5.0, "top_weights": 60.0, "max_items": 1000.0}
    return SelectedParams(
        members={
            "popularity": {"half_life_days": 7.0, "buckets": 16.0},
            "item_knn": {"neighbors": 20.0, "shrink": 1.0, "decay": 5.0},
            "ease": closed,
            "content_knn": {"decay": 5.0},
            "slist": closed | {"window": 10.0, "horizon": 1.0, "horizon_decay": 1.0},
        },
        blend=blend,
        columns=(),
        cutoff=20,
        shortlist=60,
        half_life_days=(1.0, 7.0),
        buckets=16,
        encoder="base",
        moment="last_event",
    )


def engine(train: Histories | None = None, blend: str = "fusion") -> Engine:
    """Trained on `train`, all histories unless given."""
    return fit_engine(histories() if train is None else train, catalogue(), choices(blend), clock=True)
