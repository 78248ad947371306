"""Members and statistics trained with given choices: the one operation that rehearsal and refit share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nightreel.data.histories import Histories, IntArray
from nightreel.data.log_end import data_end
from nightreel.models.base import Catalogue, Recommender, Resumable
from nightreel.models.config import ModelConfig
from nightreel.models.engine import Engine
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.ranker.blend import Blend
from nightreel.models.ranker.item_statistics import ItemStatistics
from nightreel.models.registry import spec
from nightreel.models.training.selected_params import SelectedParams
from nightreel.settings import Backbone


@dataclass(frozen=True)
class WarmStart:
    """Members to go on from, learned over another catalogue. rows: [n_items] their index of each item, -1: unknown."""

    members: Mapping[str, Recommender]
    rows: IntArray


Starting = Callable[[SelectedParams], WarmStart | None]
"""What may be gone on from, given the members' settings; None: nothing."""
Ready = Callable[[str, Histories], Recommender | None]
"""The member of that name that was learned from just these histories elsewhere; None: there is none."""


def settled(train: Histories, clock: bool) -> Histories:
    """The histories with no event later than the data's end: what a few clocks put after it happened by then."""
    if not clock or not len(train.times):
        return train
    end = data_end(train.rows, train.times)
    return train if train.times.max() <= end else replace(train, times=np.minimum(train.times, end))


def just_after(train: Histories) -> float:
    """The moment after the last event; 0 when there is none."""
    return float(np.nextafter(train.times.max(), np.inf)) if len(train.times) else 0.0


def fit_engine(
    train: Histories,
    catalogue: Catalogue,
    choices: SelectedParams,
    *,
    clock: bool,
    start: Engine | WarmStart | None = None,
    ready: Ready = lambda *_: None,
) -> Engine:
    """Every member and the statistics learned from `train` (one row a user); the blend comes as chosen.

    start: what learned with the same choices from a part of `train`: members that can go on from there do.
    ready: gives those that learned from `train` elsewhere.
    """
    train = settled(train, clock)
    # By name, since the blend's columns come in the members' order and JSON keeps none.
    chosen = sorted(choices.members.items())
    members = {
        name: ready(name, train)
        or _member(name, train, catalogue, spec(name).config.model_validate(params), clock, start, choices.backbone)
        for name, params in chosen
    }
    statistics = ItemStatistics.fit(train, catalogue, choices.half_life_days, choices.buckets, clock=clock)
    blend = Blend(choices.blend, choices.columns, choices.trees, choices.weights)
    return Engine(members, statistics, catalogue, blend, choices.cutoff, choices.shortlist, just_after(train))


def fit_member(
    name: str,
    train: Histories,
    catalogue: Catalogue,
    config: ModelConfig,
    *,
    clock: bool,
    backbone: Backbone | None = None,
) -> Recommender:
    """A member learned anew; backbone: the checkpoint whose layers the transformer takes."""
    cls, train = spec(name).cls, settled(train, clock)
    if cls is Transformer:
        return Transformer.fit(train, catalogue, config, clock=clock, backbone=backbone)  # type: ignore[arg-type]
    return cls.fit(train, catalogue, config, clock=clock)


def _member(
    name: str,
    train: Histories,
    catalogue: Catalogue,
    config: ModelConfig,
    clock: bool,
    start: Engine | WarmStart | None,
    backbone: Backbone | None,
) -> Recommender:
    before = start.members.get(name) if start else None
    if isinstance(before, Resumable):
        rows = start.rows if isinstance(start, WarmStart) else None
        return before.resumed(train, catalogue, config, clock=clock, rows=rows)
    return fit_member(name, train, catalogue, config, clock=clock, backbone=backbone)
