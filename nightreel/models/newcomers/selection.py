"""Whether the context of newcomers pays, and which columns of it: selected on validation over time.

Users whose first events lie in later periods are the newcomers of an earlier day. Segments are counted on the events
before a period, and a newcomer's list is scored on their first items in it, beside the list of what is popular at that
moment. Columns are added one at a time, as long as one is better by more than a standard error on the earlier periods.
What was so selected must be surely better than plain popularity on the last period, which had no part in the selection:
else it stays out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.base import Catalogue
from nightreel.models.baselines.popularity import Popularity, PopularityConfig
from nightreel.models.newcomers.context import ContextLog
from nightreel.models.newcomers.segments import UNSEEN, Counts
from nightreel.models.top_k import top_items
from nightreel.models.training.model_selection import Learned
from nightreel.models.training.one_standard_error import NEAR, simplest, surely_better
from nightreel.models.training.selected_params import NewcomerParams
from nightreel.models.training.training_examples import K, Quality, Validator
from nightreel.stage import log_progress

LEARNED = ("train", "valid")  # parts of a fold; the test part judges what is selected here
PERIODS = (0.5, 0.65, 0.8)
"""Shares of all users, in the order of their first events, after which a period begins; the last one confirms."""
TARGETS = 5  # first items of a newcomer that a list is scored on
MOST = 1000  # newcomers of a period, sampled at random
LEAST = 50  # newcomers of the last period; with fewer, nothing could be confirmed
SEED = 20261201  # of the sample of newcomers
STRENGTHS = (100.0, 30.0, 10.0, 3.0)  # the simplest first: more of the whole
PULLS = (0.0, 0.5, 1.0, 2.0)  # what an item gains that carries a chosen label
POOL, EACH = 1000, 50  # items that are ranked: the most popular ones, and as many of each label
Scores = npt.NDArray[np.float32]
Candidate = tuple[str, float]
"""A column and the pull of its labels."""


@dataclass(frozen=True, eq=False)
class Period:
    """Newcomers of one period.

    Attributes:
        first: [n] number of each newcomer's first event.
        targets: n rows: their first items.
        counts: Events before the period, by column.
        pool: [m] items that may be listed: the most popular ones, and those of each label.
        plain: [n, m] logarithm of their popularity at each newcomer's first event.
    """

    first: IntArray
    targets: Histories
    counts: Mapping[str, Counts]
    pool: IntArray
    plain: Scores

    def __len__(self) -> int:
        return len(self.first)


def choose(
    log: ContextLog, popular: Popularity, quality: Quality, generator: np.random.Generator
) -> NewcomerParams | None:
    """Select columns and strength; None if nothing surely beats plain popularity, or nothing is known.

    Args:
        log: Events with their context; no test event.
        popular: Fitted on the same events, with the selected half-life.
        quality: NDCG@10 of lists.
        generator: Samples newcomers.
    """
    periods = _periods(log, popular, generator) if log.columns else []
    if len(periods) < len(PERIODS) or len(periods[-1]) < LEAST:
        return None
    trials = [_Trial(log, periods, strength, quality) for strength in STRENGTHS]
    chosen = [trial.forward() for trial in trials]
    users = trials[0].users(trials[0].selecting)
    scores = {
        str(n): each.scores(own, each.selecting) for n, (each, own) in enumerate(zip(trials, chosen, strict=True))
    }
    best = int(simplest(users, scores, list(scores), NEAR))
    trial, columns = trials[best], chosen[best]
    if not columns:
        log_progress(f"newcomers: no column of {', '.join(log.columns)} pays; they get what is popular")
        return None
    ours, plain = (trial.scores(own, trial.confirming) for own in (columns, ()))
    kept = surely_better(trial.users(trial.confirming), ours, plain)
    named = ", ".join(name for name, _ in columns)
    log_progress(
        f"newcomers: by {named}, NDCG@10 {ours.mean():.4f} against {plain.mean():.4f} of plain popularity for "
        f"{len(ours):,} later ones: {'kept' if kept else 'not surely better, so left out'}"
    )
    pulls = [pull for name, pull in columns if name == "labels"]
    return (
        NewcomerParams(
            columns=tuple(name for name, _ in columns),
            strength=STRENGTHS[best],
            pull=pulls[0] if pulls else 0.0,
            ndcg=round(float(ours.mean()), 6),
            plain_ndcg=round(float(plain.mean()), 6),
            users=len(ours),
        )
        if kept
        else None
    )


def with_newcomers(learned: Learned, data: Dataset, catalogue: Catalogue, fold: str, validator: Validator) -> Learned:
    """Add the selection to what was selected on a fold; data: with the named columns of users."""
    log = ContextLog.of(data, fold, LEARNED) if data.clock == "time" else None
    if log is None or not log.columns:
        return learned
    choices, known = learned.choices, data.positives(fold, LEARNED)
    named = choices.config("popularity") if "popularity" in choices.members else None
    config = (
        named
        if isinstance(named, PopularityConfig)
        else PopularityConfig(half_life_days=choices.half_life_days[0], buckets=choices.buckets)
    )
    popular = Popularity.fit(known, catalogue, config, clock=True)
    chosen = choose(log, popular, validator.quality, np.random.default_rng(SEED))
    return learned if chosen is None else replace(learned, choices=choices.model_copy(update={"newcomers": chosen}))


class _Trial:
    """The lists of one strength."""

    def __init__(self, log: ContextLog, periods: Sequence[Period], strength: float, quality: Quality) -> None:
        self._log, self._strength, self._quality = log, strength, quality
        self.selecting, self.confirming = periods[:-1], periods[-1:]
        self._parts: dict[tuple[int, Candidate], Scores] = {}

    @staticmethod
    def users(periods: Sequence[Period]) -> IntArray:
        """[n] a number for each newcomer of all periods."""
        return np.arange(sum(map(len, periods)))

    def forward(self) -> tuple[Candidate, ...]:
        """Columns, each added because it is better by more than a standard error."""
        chosen: tuple[Candidate, ...] = ()
        users, scores = self.users(self.selecting), self.scores((), self.selecting)
        while True:
            used = {name for name, _ in chosen}
            left = [(name, 0.0) for name in self._log.columns if name not in used]
            left += [("labels", pull) for pull in PULLS[1:] if ("labels", 0.0) in left]
            tried = {each: self.scores((*chosen, each), self.selecting) for each in left}
            if not tried:
                return chosen
            best = max(tried, key=lambda each: float(tried[each].mean()))
            if simplest(users, {"without": scores, "with": tried[best]}, ["without", "with"]) == "without":
                return chosen
            chosen, scores = (*chosen, best), tried[best]

    def scores(self, columns: Sequence[Candidate], periods: Sequence[Period]) -> FloatArray:
        """[n] NDCG@10 of the lists of all periods' newcomers, by these columns."""
        found = []
        for period in periods:
            scores = period.plain.copy()
            for each in columns:
                scores += self._part(period, each)
            lists = period.pool[top_items(scores, min(K, len(period.pool)))]
            found.append(self._quality(lists.astype(np.int32), period.targets))
        return np.concatenate(found)

    def _part(self, period: Period, candidate: Candidate) -> Scores:
        """[n, pool] what a column adds to the logarithm of each item's popularity, for each newcomer."""
        key = id(period), candidate
        if key not in self._parts:
            name, pull = candidate
            lifts = period.counts[name].lifts(self._strength, pull)
            own = self._log.columns[name].of_events(period.first)
            lengths = np.maximum(np.diff(own.indptr), 1)
            self._parts[key] = np.asarray((own @ lifts[:, period.pool]).toarray() / lengths[:, None], np.float32)
        return self._parts[key]


def _pool(popularity: Scores, counts: Mapping[str, Counts]) -> IntArray:
    """Items that may be listed."""
    plain = np.log(np.maximum(popularity, np.float32(UNSEEN)))
    found = [top_items(plain[None], POOL)[0]]
    for name, own in counts.items():
        lifts = own.lifts(STRENGTHS[-1], PULLS[-1] if name == "labels" else 0.0)
        for value in range(lifts.shape[0]):
            found.append(top_items(np.asarray(plain + lifts[[value]].toarray(), np.float32), EACH)[0])
    pool: IntArray = np.unique(np.concatenate(found)).astype(np.int64)
    return pool


def _periods(log: ContextLog, popular: Popularity, generator: np.random.Generator) -> list[Period]:
    """The periods that have newcomers and events before them."""
    order = np.lexsort((log.times, log.users))
    users, begins = np.unique(log.users[order], return_index=True)
    first = log.times[order[begins]]
    edges = [*np.quantile(first, PERIODS, method="higher").tolist(), np.inf] if len(users) else []
    ends, found = [*begins[1:].tolist(), len(order)], []
    for begin, end in pairwise(edges):
        rows = np.flatnonzero((first >= begin) & (first < end))
        known = np.flatnonzero(log.times < begin)
        if not len(rows) or not len(known):
            continue
        if len(rows) > MOST:
            rows = np.sort(generator.choice(rows, MOST, replace=False))
        own = [order[begins[row] : ends[row]] for row in rows.tolist()]
        own = [events[(log.times[events] < end) & log.relevant[events]][:TARGETS] for events in own]
        targets = Histories.from_rows([(log.items[events].tolist(), log.times[events].tolist()) for events in own])
        counts = {name: Counts.of(log, column, known, begin) for name, column in log.columns.items()}
        pool = _pool(popular.score(Histories.from_rows([([], [])]), np.array([begin]))[0], counts)
        taken = popular.counts(np.tile(pool, len(rows)), np.repeat(first[rows], len(pool)))
        plain = np.log(np.maximum(taken.reshape(len(rows), len(pool)), np.float32(UNSEEN)))
        found.append(Period(order[begins[rows]], targets, counts, pool, plain))
    return found
