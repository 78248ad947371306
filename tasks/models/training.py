"""Members and statistics trained with given choices: the one operation that rehearsal and refit share."""

from __future__ import annotations

import numpy as np

from tasks.data.histories import Histories
from tasks.models.blend import Blend
from tasks.models.choices import Choices
from tasks.models.engine import Engine
from tasks.models.members import MEMBERS
from tasks.models.protocol import Catalogue, Hyper, Recommender, Resumable
from tasks.models.statistics import ItemStatistics


def just_after(train: Histories) -> float:
    """The moment after the last event; 0 when there is none."""
    return float(np.nextafter(train.times.max(), np.inf)) if len(train.times) else 0.0


def fit_engine(
    train: Histories, catalogue: Catalogue, choices: Choices, *, clock: bool, start: Engine | None = None
) -> Engine:
    """Every member and the statistics learned from `train` (one row a user); the blend comes as chosen.

    start: an engine of the same choices that learned from a part of `train`: members that can go on from there do.
    """
    # By name, since the blend's columns come in the members' order and JSON keeps none.
    chosen = sorted(choices.members.items())
    members = {name: _member(name, train, catalogue, hyper, clock, start) for name, hyper in chosen}
    statistics = ItemStatistics.fit(train, catalogue, choices.half_life_days, choices.buckets, clock=clock)
    blend = Blend(choices.blend, choices.columns, choices.trees)
    return Engine(members, statistics, catalogue, blend, choices.cutoff, choices.shortlist, just_after(train))


def _member(
    name: str, train: Histories, catalogue: Catalogue, hyper: Hyper, clock: bool, start: Engine | None
) -> Recommender:
    before = start.members.get(name) if start else None
    if isinstance(before, Resumable):
        return before.resumed(train, catalogue, hyper, clock=clock)
    return MEMBERS[name].fit(train, catalogue, hyper, clock=clock)
