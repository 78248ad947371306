"""The gate: turns the candidate's scores and a pinned champion into a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest, overlap_with_last_night
from nightreel.evaluation.champion import LEAST_SHARED, Champion, Comparison, Unreadable, shared_items
from nightreel.evaluation.drift.drift_bounds import DriftFigure, lost_rows
from nightreel.evaluation.gate.gate_rules import (
    fresh_data,
    holding_coverage,
    sound_behaviour,
    sound_lists,
    steady_data,
    whole_slices,
)
from nightreel.evaluation.gate.override import overridden
from nightreel.evaluation.gate.verdict import (
    GateRule,
    Verdict,
    against_champion,
    against_popularity,
    best,
    challenge,
    first,
    refreshes,
    refuse,
)
from nightreel.evaluation.metrics.bootstrap import Difference, Draws, relative_difference
from nightreel.evaluation.metrics.coverage import coverage
from nightreel.evaluation.model_scores import GATE_K, GATE_METRIC, ModelScores, by_user
from nightreel.evaluation.segments.slice_tests import Gap, SliceScore, score_slices
from nightreel.evaluation.segments.slices import Slice
from nightreel.evaluation.test_set import POPULARITY
from nightreel.models.engine import BLEND
from nightreel.settings.evaluate import Evaluate


@dataclass(frozen=True)
class Gate:
    """The rules' parameters, and the seed with which every bootstrap of a run draws the same users."""

    settings: Evaluate
    seed: int
    _drawn: dict[int, Draws] = field(default_factory=dict, repr=False, compare=False)

    def resample(self, columns: FloatArray) -> FloatArray:
        """[replicates, m] sums of columns [u, m] over the users that each replicate draws; equal for equal u."""
        n = len(columns)
        if n not in self._drawn:
            self._drawn[n] = Draws(n, self.settings.bootstrap_replicates, np.random.default_rng(self.seed))
        return self._drawn[n].totals(columns)

    def difference(self, users: IntArray, ours: FloatArray, theirs: FloatArray) -> Difference | None:
        """Paired relative difference of two columns of NDCG@10, one row per (fold, user); None if undefined."""
        if not len(users):
            return None
        sums, counts = by_user(users, np.column_stack([ours, theirs]))
        totals = self.resample(np.column_stack([sums, counts]))
        means = totals[:, :2] / totals[:, 2:]
        return relative_difference(
            (float(ours.mean()), float(theirs.mean())),
            (means[:, 0], means[:, 1]),
            len(counts),
            confidence=self.settings.confidence,
            margin=self.settings.margin,
        )

    def popularity(self, scores: ModelScores) -> GateRule | None:
        """The rule `better than popularity`; None if popularity is not among the models."""
        if POPULARITY not in scores.models:
            return None
        ours, theirs = (scores.values[model][GATE_METRIC] for model in (BLEND, POPULARITY))
        found = self.difference(scores.users, ours, theirs)
        mean = scores.mean(BLEND, GATE_METRIC)
        return against_popularity(
            found,
            margin=self.settings.margin,
            users=scores.n_users,
            score=mean,
            confidence=self.settings.confidence,
        )

    def champion(self, comparison: Comparison) -> GateRule:
        """The rule `not worse than the champion`, for a fair comparison."""
        ours, users = comparison.challenger, comparison.users
        found = self.difference(users, ours, comparison.champion)
        mean = float(ours.mean()) if len(ours) else 0.0
        return against_champion(
            found,
            margin=self.settings.margin,
            users=len(np.unique(users)),
            score=mean,
            confidence=self.settings.confidence,
        )

    def sound(self, scores: ModelScores, model: str) -> GateRule:
        """The rule `list integrity` for the model that would be served."""
        return sound_lists(scores.faults[model], len(scores.users))

    def others(
        self,
        evidence: GateEvidence,
        champion: Champion,
        comparison: Comparison,
        slices: Sequence[SliceScore],
        tests: Sequence[BehavioralTest],
    ) -> list[GateRule]:
        """The other rules: list integrity, freshness, drift, slices, coverage, behavioural tests."""
        settings, n_items = self.settings, len(evidence.item_ids)
        same = champion.source in (None, evidence.source)
        clock = evidence.clock if champion.config.get("clock") == evidence.clock else "another"
        until = float(champion.config["data_until"])
        lists = evidence.scores.lists[BLEND][comparison.rows, :GATE_K]
        theirs = None if comparison.lists is None else coverage(comparison.lists, n_items)
        return [
            self.sound(evidence.scores, BLEND),
            fresh_data(evidence.data_until, until, days=settings.max_staleness_days, clock=clock, same_source=same),
            steady_data(evidence.changes),
            whole_slices(slices, margin=settings.margin, least_users=settings.slice_users),
            holding_coverage(
                coverage(lists, n_items), theirs, share=settings.coverage_share, users=len(np.unique(comparison.users))
            ),
            sound_behaviour(tests),
        ]

    def slices(
        self, evidence: GateEvidence, comparison: Comparison | None, model: str
    ) -> tuple[list[SliceScore], list[Gap]]:
        """Scores of every slice over the compared rows; over all rows and without differences if nothing was
        compared."""
        scores = evidence.scores
        if comparison is None:
            own = scores.values[model][GATE_METRIC]
            return score_slices(evidence.slices, scores.users, own, None, self.settings, self.resample)
        rows = comparison.rows
        compared = [Slice(each.by, each.name, each.rows[rows]) for each in evidence.slices]
        return score_slices(
            compared, comparison.users, comparison.challenger, comparison.champion, self.settings, self.resample
        )


@dataclass(frozen=True)
class GateEvidence:
    """What was measured of the candidate.

    slices: over the rows of `scores`; behaviours: the blend's behavioural tests; data_until: time of the last event,
    in the unit of `clock`; candidate: the bundle's digest; item_ids: today's catalogue; source: snapshot.source;
    behind: what ranks the blend's lists, in words; changes: data drift.
    """

    scores: ModelScores
    slices: Sequence[Slice]
    behaviours: Sequence[BehavioralTest]
    data_until: float
    clock: str
    candidate: str
    item_ids: Sequence[str]
    source: str
    behind: str
    changes: Sequence[DriftFigure] = ()


@dataclass(frozen=True)
class GateResult:
    """The verdict and its basis.

    comparison: None if no fair one was possible; behaviours: those of the evidence and the overlap with the champion's
    lists; refresh: whether the live version may be refitted on tonight's log instead of the candidate.
    """

    verdict: Verdict
    comparison: Comparison | None
    slices: list[SliceScore]
    gaps: list[Gap]
    behaviours: list[BehavioralTest]
    refresh: bool


def decide(
    gate: Gate,
    evidence: GateEvidence,
    champion: Champion | Unreadable | None,
    *,
    blocked: bool,
    compare: Callable[[Champion], Comparison],
) -> GateResult:
    """Decide on the candidate.

    Args:
        gate: The gate's parameters.
        evidence: What was measured of the candidate.
        champion: The pinned champion, if there is one.
        blocked: Whether a rollback blocked this recipe.
        compare: Compares with the champion; called only if a comparison can be fair.
    """
    popularity = gate.popularity(evidence.scores)
    verdict, comparison = _alone(gate, evidence, champion, popularity, blocked), None
    if verdict is None and isinstance(champion, Champion):
        try:
            comparison = compare(champion)
        except Unreadable as error:
            verdict = refuse("champion unreadable", str(error), _own(gate, evidence, popularity))
    slices, gaps = gate.slices(evidence, comparison, verdict.model if verdict else BLEND)
    tests = [*evidence.behaviours, _stability(evidence, comparison)]
    if verdict is None:
        assert isinstance(champion, Champion) and comparison is not None
        others = gate.others(evidence, champion, comparison, slices, tests)
        rule = gate.champion(comparison)
        verdict = challenge(rule, popularity, others, digest=champion.digest, how=comparison.how)
    refresh = refreshes(verdict, rows_lost=lost_rows(evidence.changes))
    verdict = overridden(verdict, gate.settings.override, evidence.candidate)
    return GateResult(verdict, comparison, slices, gaps, tests, refresh)


def _own(gate: Gate, evidence: GateEvidence, popularity: GateRule | None) -> list[GateRule]:
    """The results of the rules that need no champion."""
    rules = (popularity, gate.sound(evidence.scores, BLEND), sound_behaviour(evidence.behaviours))
    return [rule for rule in rules if rule]


def _stability(evidence: GateEvidence, comparison: Comparison | None) -> BehavioralTest:
    rows = comparison.rows if comparison else np.empty(0, np.int64)
    return overlap_with_last_night(
        comparison.lists if comparison else None, evidence.scores.lists[BLEND][rows, :GATE_K]
    )


def _alone(
    gate: Gate,
    evidence: GateEvidence,
    champion: Champion | Unreadable | None,
    popularity: GateRule | None,
    blocked: bool,
) -> Verdict | None:
    """The verdict if no fair comparison is possible; None if one is.

    If the catalogues share too few items, the champion is replaced when its source is another one, since these are
    new data, and the night is held when the source is the same.
    """
    model = best(popularity)
    rules = _own(gate, evidence, popularity)
    if blocked:
        reason = "a rollback blocked this recipe; change the run, or lift the block with `nightreel release VERSION`"
        return refuse("blocked", reason, rules)
    if isinstance(champion, Unreadable):
        return refuse("champion unreadable", str(champion), rules)
    integrity, behaviour = [gate.sound(evidence.scores, model)], sound_behaviour(evidence.behaviours)
    behind = evidence.behind if model == BLEND else "lists ranked by popularity, since the blend is significantly worse"
    if champion is None:
        return first(popularity, integrity, behaviour, model=model, replaces=None, behind=behind)
    shared = shared_items(champion, evidence.item_ids)
    if shared >= LEAST_SHARED:
        return None
    what = f"champion {champion.digest[:12]} knows {shared:.0%} of today's items"
    if champion.source is not None and champion.source != evidence.source:
        why = f"{what} and comes from {champion.source!r}, not {evidence.source!r}"
        return first(popularity, integrity, behaviour, model=model, replaces=why, behind=behind)
    reason = f"{what}, less than {LEAST_SHARED:.0%}; check the catalogue, or publish to another channel"
    return refuse("not comparable", reason, rules)
