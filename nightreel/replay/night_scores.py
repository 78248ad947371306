"""The scores of a night on the step after it: the served version, both baselines and the alternatives, one row per
user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from nightreel.data.histories import FloatArray
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.segments.item_reach import FIRST, item_reach
from nightreel.reader.reader import Reader
from nightreel.replay import baselines, instants
from nightreel.replay.baselines import BaselineParams
from nightreel.replay.new_items import CONTENT, NewItems, new_items
from nightreel.replay.next_step import EventLog, Step, ndcg, recommended, step_after

SERVED, POPULARITY, EASE, BEFORE = "nightreel", "popularity", "ease_popularity", "before"
FIRST_RECIPE, HELD = "first_recipe", "held_candidate"
"""Alternatives, see nightreel.replay.alternatives: only where they are wanted."""
RANKERS = (SERVED, POPULARITY, EASE, FIRST_RECIPE)
REPLICATES, SEED = 2_000, 20_261_130


@dataclass(frozen=True)
class NightScores:
    """The scores of a night. step: its users; figures: NDCG@10 of each of RANKERS, [n], NaN if nothing was served, of
    BEFORE, the version that was served until then, NaN if it still is, and of HELD, tonight's candidate if it was not
    published; half_life (days), chosen: the baselines' parameters, tuned on the step before; new: how new items
    fared; reach: rows of item_reach, None if nothing was served."""

    step: Step
    figures: dict[str, FloatArray]
    half_life: float
    chosen: BaselineParams
    new: NewItems
    reach: pa.Table | None

    def rows(self, log: EventLog, night: float) -> pa.Table:
        """One row per user: night, user_id, newcomer, arrived, wanted (number of relevant items) and the scores."""
        return pa.table(
            {
                "night": pa.array([round(night * 1e6)] * len(self.step), pa.timestamp("us", "UTC")),
                "user_id": pa.array([log.user_ids[user] for user in self.step.users.tolist()], pa.string()),
                "newcomer": pa.array(self.step.newcomers),
                "arrived": pa.array(np.round(self.step.moments * 1e6).astype(np.int64), pa.timestamp("us", "UTC")),
                "wanted": pa.array(self.step.truth.counts),
                **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in self.figures.items()},
            }
        )

    def gate(self) -> dict[str, float | None]:
        """Mean of the version before, and of the paired difference to it with its 95% interval; None where the night
        published nothing."""
        return {BEFORE: self._mean(BEFORE)} | self._gained("gained", SERVED, BEFORE)

    def held(self) -> dict[str, float | None]:
        """Mean of a candidate that was held or rejected, and of its paired difference to what is served instead, with
        its 95% interval; None on other nights."""
        return {HELD: self._mean(HELD)} | self._gained("held_gained", HELD, SERVED)

    def means(self) -> dict[str, float | None]:
        """Each ranker's mean over all users, users with a history and users without; None for an empty group."""
        new = self.step.newcomers
        groups = {"": np.ones(len(new), bool), "_known": ~new, "_newcomers": new}
        return {
            f"{name}{group}": _mean(values[rows])
            for group, rows in groups.items()
            for name, values in self.figures.items()
            if name in RANKERS
        }

    def _mean(self, name: str) -> float | None:
        return _mean(self.figures[name]) if name in self.figures else None

    def _gained(self, field: str, better: str, base: str) -> dict[str, float | None]:
        """The paired difference of two versions, with its 95% interval; None where one of them has no figures."""
        names = (field, f"{field}_low", f"{field}_high")
        if better not in self.figures or base not in self.figures:
            return dict.fromkeys(names)
        difference = self.figures[better] - self.figures[base]
        if not len(difference) or np.isnan(difference).any():
            return dict.fromkeys(names)
        gap = mean_interval(difference, REPLICATES, np.random.default_rng(SEED))
        return dict(zip(names, (gap.point, gap.low, gap.high), strict=True))


def score_night(
    log: EventLog,
    night: float,
    step_s: float,
    reader: Reader | None,
    before: Reader | None = None,
    alternatives: Mapping[str, Reader] = MappingProxyType({}),
    first: float | None = None,
) -> NightScores:
    """Score the served version and the baselines on [night, night + step).

    Args:
        log: The whole log.
        night: The night's time, epoch seconds.
        step_s: Length of the step in seconds.
        reader: The served version; None if nothing was published yet.
        before: The version that the night replaced; None if it replaced none.
        alternatives: FIRST_RECIPE and HELD, where they are wanted and there.
        first: The replay's first night, epoch seconds; items without a positive event before it count as new in
            `reach`. None: this night.

    Returns:
        The scores of every user with a positive event in the step.
    """
    exclude_seen = bool(reader.config["exclude_seen"]) if reader is not None else log.exclude_seen
    step = step_after(log, night, night + step_s, exclude_seen=exclude_seen)
    requests = step if exclude_seen else step.without_met()
    half_life, chosen = _tuned(log, night - step_s, night, exclude_seen)
    train, hidden = log.positives_before(night), log.hidden(night)
    counts = baselines.popularity(train, night, half_life, log.n_items)
    lists = {
        POPULARITY: baselines.by_popularity(counts, requests, hidden),
        EASE: baselines.by_ease(train, requests, night, hidden, chosen),
    }
    figures = {name: np.full(len(step), np.nan) for name in (SERVED, BEFORE, *alternatives)}
    served, by_content, reach = None, None, None
    events = np.bincount(train.items, minlength=log.n_items)
    if reader is not None and len(step):
        served = recommended(reader, step, log.item_ids, FIRST)
        by_content = recommended(reader, step, log.item_ids, FIRST, CONTENT) if CONTENT in reader.models else None
        figures[SERVED] = ndcg(served, step)
        if before is not None:
            figures[BEFORE] = ndcg(recommended(before, step, log.item_ids), step)
        for name, other in alternatives.items():
            figures[name] = ndcg(recommended(other, step, log.item_ids), step)
        known = log.positives_before(night if first is None else first)
        unknown = np.bincount(known.items, minlength=log.n_items) == 0
        reach = item_reach(instants.iso(night), log.item_ids, served, step.truth, events, unknown)
    new = new_items(step, events, served, by_content)
    figures |= {name: ndcg(found, step) for name, found in lists.items()}
    return NightScores(step, figures, half_life, chosen, new, reach)


def _tuned(log: EventLog, begin: float, end: float, exclude_seen: bool) -> tuple[float, BaselineParams]:
    """The baselines' best parameters on [begin, end), fitted on earlier events."""
    step = step_after(log, begin, end, exclude_seen=exclude_seen)
    step = step if exclude_seen else step.without_met()
    train, hidden = log.positives_before(begin), log.hidden(begin)
    half_life = baselines.tune_popularity(train, step, begin, hidden)
    return half_life, baselines.tune_ease(train, step, begin, hidden, half_life)


def _mean(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
