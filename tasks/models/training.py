"""Members and statistics trained with given choices: the one operation that rehearsal and refit share."""

from __future__ import annotations

import numpy as np

from tasks.data.histories import Histories
from tasks.models.blend import Blend
from tasks.models.choices import Choices
from tasks.models.engine import Engine
from tasks.models.members import MEMBERS
from tasks.models.protocol import Catalogue
from tasks.models.statistics import ItemStatistics


def just_after(train: Histories) -> float:
    """The moment after the last event; 0 when there is none."""
    return float(np.nextafter(train.times.max(), np.inf)) if len(train.times) else 0.0


def fit_engine(train: Histories, catalogue: Catalogue, choices: Choices, *, clock: bool) -> Engine:
    """Every member and the statistics learned from `train` (one row a user); the blend comes as chosen."""
    # By name, since the blend's columns come in the members' order and JSON keeps none.
    chosen = sorted(choices.members.items())
    members = {name: MEMBERS[name].fit(train, catalogue, hyper, clock=clock) for name, hyper in chosen}
    statistics = ItemStatistics.fit(train, catalogue, choices.half_life_days, choices.buckets, clock=clock)
    blend = Blend(choices.blend, choices.columns, choices.trees)
    return Engine(members, statistics, catalogue, blend, choices.cutoff, just_after(train))
