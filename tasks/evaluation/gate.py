"""The gate: from scores and a pinned champion to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.data.histories import FloatArray, IntArray
from tasks.evaluation.champion import LEAST_SHARED, Champion, Comparison, shared_items
from tasks.evaluation.intervals import Difference, relative_difference, replicate_means
from tasks.evaluation.scores import GATE_METRIC, Scores, by_user
from tasks.evaluation.trial import POPULARITY
from tasks.evaluation.verdict import (
    Rule,
    Verdict,
    against_champion,
    against_popularity,
    challenge,
    first,
    refuse,
)
from tasks.models.engine import BLEND
from tasks.settings import Evaluate


@dataclass(frozen=True)
class Gate:
    """The rules' parameters, and the seed that makes every bootstrap of a run draw the same users."""

    settings: Evaluate
    seed: int

    def difference(self, users: IntArray, ours: FloatArray, theirs: FloatArray) -> Difference | None:
        """Paired relative difference of two columns of NDCG@10, one row per (fold, user); None if undefined."""
        if not len(users):
            return None
        sums, counts = by_user(users, np.column_stack([ours, theirs]))
        means = replicate_means(sums, counts, self.settings.replicates, np.random.default_rng(self.seed))
        return relative_difference(
            (float(ours.mean()), float(theirs.mean())),
            (means[:, 0], means[:, 1]),
            len(counts),
            confidence=self.settings.confidence,
            margin=self.settings.margin,
        )

    def popularity(self, scores: Scores) -> Rule | None:
        """The rule `better than popularity`; None where popularity is not among the members."""
        if POPULARITY not in scores.models:
            return None
        ours, theirs = (scores.values[model][GATE_METRIC] for model in (BLEND, POPULARITY))
        found = self.difference(scores.users, ours, theirs)
        mean = scores.mean(BLEND, GATE_METRIC)
        return against_popularity(found, margin=self.settings.margin, users=scores.n_users, score=mean)

    def champion(self, comparison: Comparison) -> Rule:
        """The rule `not worse than the champion`, for a fair comparison."""
        ours, users = comparison.challenger, comparison.users
        found = self.difference(users, ours, comparison.champion)
        mean = float(ours.mean()) if len(ours) else 0.0
        return against_champion(found, margin=self.settings.margin, users=len(np.unique(users)), score=mean)


def judge(
    gate: Gate,
    scores: Scores,
    champion: Champion | None,
    *,
    blocked: bool,
    source: str,
    item_ids: list[str],
    compare: Callable[[Champion], Comparison],
) -> tuple[Verdict, Comparison | None]:
    """The verdict on the candidate; `compare` is called only where a comparison can be fair.

    blocked: a rollback blocked this recipe; source: today's `snapshot.source`, which tells a new data set (its
    champion is replaced) from an old one whose catalogue has changed beyond recognition (held).
    """
    popularity = gate.popularity(scores)
    if blocked:
        reason = "a rollback blocked this recipe; change the run, or `nightreel release` the version"
        return refuse("blocked", reason, popularity), None
    if champion is None:
        return first(popularity, replaces=None), None
    shared = shared_items(champion, item_ids)
    if shared < LEAST_SHARED:
        what = f"champion {champion.digest[:12]} knows {shared:.0%} of today's items"
        if champion.source is not None and champion.source != source:
            return first(popularity, replaces=f"{what} and comes from {champion.source!r}, not {source!r}"), None
        reason = f"{what}, less than {LEAST_SHARED:.0%}; check the catalogue, or publish to another channel"
        return refuse("not comparable", reason, popularity), None
    comparison = compare(champion)
    rule = gate.champion(comparison)
    return challenge(rule, popularity, digest=champion.digest, how=comparison.how), comparison
