"""Training all models and item statistics with given hyper-parameters: used by both finetune and refit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nightreel.data.histories import Histories, IntArray
from nightreel.data.log_end import data_end
from nightreel.models.base import Catalogue, Recommender, Resumable
from nightreel.models.config import ModelConfig
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import Blend
from nightreel.models.ranker.item_statistics import ItemStatistics
from nightreel.models.registry import spec
from nightreel.models.training.selected_params import SelectedParams


@dataclass(frozen=True)
class WarmStart:
    """Models to warm-start from, which were trained on another catalogue. rows: [n_items] their index of each item, or
    -1."""

    members: Mapping[str, Recommender]
    rows: IntArray


Starting = Callable[[SelectedParams], WarmStart | None]
"""Returns the state to warm-start from, given the models' hyper-parameters, or None."""
Ready = Callable[[str, Histories, ModelConfig], Recommender | None]
"""Returns the model of that name that was trained elsewhere, on exactly these histories with exactly these
hyper-parameters, or None."""


def settled(train: Histories, clock: bool) -> Histories:
    """Clip event times at the data's end: later ones come from a few wrong clocks."""
    if not clock or not len(train.times):
        return train
    end = data_end(train.rows, train.times)
    return train if train.times.max() <= end else replace(train, times=np.minimum(train.times, end))


def just_after(train: Histories) -> float:
    """The smallest time after the last event; 0 without events."""
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
    """Train every model and the item statistics; the ranker is taken over from `choices`.

    Args:
        train: Positive events, one row a user.
        catalogue: The items.
        choices: Selected hyper-parameters and ranker.
        clock: Whether times are epoch seconds, not positions.
        start: Models trained with the same `choices` on a part of `train`. Those that can be warm-started are.
        ready: Gives models that another process has already trained on `train`.
    """
    train = settled(train, clock)
    # Sorted by name, because the ranker's columns follow the models' order, which JSON does not guarantee.
    configs = {name: choices.config(name) for name in sorted(choices.members)}
    members = {
        name: ready(name, train, config) or _member(name, train, catalogue, config, clock, start)
        for name, config in configs.items()
    }
    statistics = ItemStatistics.fit(train, catalogue, choices.half_life_days, choices.buckets, clock=clock)
    blend = Blend(choices.blend, choices.columns, choices.trees, choices.weights)
    return Engine(
        members,
        statistics,
        catalogue,
        blend,
        choices.cutoff,
        choices.shortlist,
        just_after(train),
        choices.new_every,
        choices.heads.opened() if choices.heads else None,
    )


def fit_member(name: str, train: Histories, catalogue: Catalogue, config: ModelConfig, *, clock: bool) -> Recommender:
    """Train one model from scratch."""
    return spec(name).cls.fit(settled(train, clock), catalogue, config, clock=clock)


def _member(
    name: str,
    train: Histories,
    catalogue: Catalogue,
    config: ModelConfig,
    clock: bool,
    start: Engine | WarmStart | None,
) -> Recommender:
    before = start.members.get(name) if start else None
    if isinstance(before, Resumable):
        rows = start.rows if isinstance(start, WarmStart) else None
        return before.resumed(train, catalogue, config, clock=clock, rows=rows)
    return fit_member(name, train, catalogue, config, clock=clock)
