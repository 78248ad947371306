"""The verdict: promote, hold or reject, by stated rules.

Reject: what was found speaks against this very candidate, and would again. Hold: nothing does, but the ground to judge
it on is lacking (the data, the champion, the users); whoever mends that may run it again.

Not worse than the champion: the lower bound (one-sided, at the set confidence) of the paired relative NDCG@10
difference is at least minus the margin; worse if it is not, and the upper bound is not above 0. Between the two nothing
is shown: the rule is `inconclusive`. That takes a half-width beyond half the margin; had it to be beyond the whole, an
equal challenger would fail every fourth time at some numbers of users (benchmarks.evaluation.gate shows it).
Better than popularity: the lower bound is above 0; inconclusive if the half-width is beyond the margin and the point
above 0. What is inconclusive passes, labelled `unproven`, with the number of users that it would take to know. The
rules of nightreel.evaluation.gate.gate_rules stop a challenger if they fail, and only then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nightreel.evaluation.metrics.bootstrap import Difference
from nightreel.evaluation.test_set import POPULARITY
from nightreel.models.engine import BLEND

SOUND, FRESH = "every list is sound", "data as fresh as the champion's"
LIKE = "data like the champion's"
WHOLE, COVERED, BEHAVES = "no slice is broken", "coverage holds", "it behaves"
CHAMPION_RULE, POPULARITY_RULE = "not worse than the champion", "better than popularity"

Decision = Literal["promote", "hold", "reject"]
State = Literal["passed", "inconclusive", "failed", "not measured"]
Label = Literal[
    "better",
    "not worse",
    "unproven",
    "baseline",
    "replaced",
    "worse",
    "not better than popularity",
    "not comparable",
    "blocked",
    "not measured",
    "champion unreadable",
    "broken lists",
    "stale data",
    "drifted data",
    "broken slice",
    "low coverage",
    "misbehaves",
    "overridden",
]
STOPS: dict[str, Label] = {
    SOUND: "broken lists",
    FRESH: "stale data",
    LIKE: "drifted data",
    WHOLE: "broken slice",
    COVERED: "low coverage",
    BEHAVES: "misbehaves",
}
REJECTS: frozenset[Label] = frozenset(
    {"worse", "not better than popularity", "blocked", "broken lists", "broken slice", "low coverage", "misbehaves"}
)
"""The labels of a candidate that is itself at fault; every other that is not promoted is held."""


UNFIT: frozenset[Label] = frozenset({"blocked", "stale data", "not comparable", "champion unreadable"})
"""The labels of nights whose log the live version can't learn from, or must not."""


class GateRule(BaseModel):
    """One rule with its bound and what was found; None where not measured.

    Figures are relative NDCG@10 differences; lists (SOUND), days (FRESH), figures beyond a stop (LIKE), a share of the
    champion's (COVERED), failed tests (BEHAVES).
    detectable: the least loss that as many users would show, see intervals.Difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: State
    bound: float
    point: float | None
    low: float | None
    high: float | None
    half_width: float | None
    users: int
    users_needed: int | None
    detectable: float | None
    text: str


class Verdict(BaseModel):
    """What is to be done with the candidate, and why. model: the one whose lists would be served; override: by, reason
    and instead_of, where a person decided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision
    label: Label
    model: str
    sentence: str
    rules: tuple[GateRule, ...]
    override: dict[str, str] | None = None


def against_champion(difference: Difference | None, *, margin: float, users: int, score: float) -> GateRule:
    """The rule `not worse than the champion`.

    difference: None where a share is undefined: fewer than two test users, or the champion scores 0; score: the
    challenger's mean.
    """
    name = CHAMPION_RULE
    if difference is None:
        return _undefined(name, -margin, users, score)
    if difference.low >= -margin:
        state: State = "passed"
    elif difference.high > 0:
        state = "inconclusive"
    else:
        state = "failed"
    return _rule(name, state, -margin, difference)


def against_popularity(difference: Difference | None, *, margin: float, users: int, score: float) -> GateRule:
    """The rule `better than popularity`; arguments as in against_champion."""
    name = POPULARITY_RULE
    if difference is None:
        return _undefined(name, 0.0, users, score)
    if difference.low > 0:
        state: State = "passed"
    elif difference.half_width > margin and difference.point > 0:
        state = "inconclusive"
    else:
        state = "failed"
    return _rule(name, state, 0.0, difference)


def first(
    popularity: GateRule | None,
    others: Sequence[GateRule],
    behaves: GateRule,
    *,
    model: str,
    replaces: str | None,
    behind: str,
) -> Verdict:
    """No champion, or one of other data (`replaces` says why): the best model is published as the baseline, unless one
    of the other rules fails.

    model: `best`'s; behind: what ranks its lists, in words; behaves: of the blend, only told, since there is nothing
    that behaves better to go on with.
    """
    rules = (*((popularity,) if popularity else ()), *others, behaves)
    failed = next((rule for rule in others if rule.state == "failed"), None)
    if failed:
        return _stopped(STOPS[failed.name], failed.text, rules, model)
    why = replaces or "there is no champion yet"
    detail = f"; {behind}" + (f"; {popularity.text}" if popularity else "")
    if popularity is not None and model == BLEND and popularity.state == "failed":
        detail += ": the blend is not shown to be better than popularity"
    if behaves.state == "failed":
        detail += f"; a challenger would be rejected, for the blend misbehaves ({behaves.text})"
    return Verdict(
        decision="promote",
        label="replaced" if replaces else "baseline",
        model=model,
        sentence=f"promote {model} as the {'new ' if replaces else ''}baseline: {why}{detail}",
        rules=rules,
    )


def best(popularity: GateRule | None) -> str:
    """The blend, which validation chose, unless it is surely worse than popularity (or nothing tells): then that."""
    if popularity is None:
        return BLEND
    worse = popularity.high is not None and popularity.high < 0
    return POPULARITY if worse or popularity.state == "not measured" else BLEND


def refreshes(verdict: Verdict, *, rows_lost: bool) -> bool:
    """Whether what is live is to learn tonight's log if the candidate is not published: not where the log itself is in
    doubt, or a rollback has blocked this very run. rows_lost: whether the log lacks what a night before had."""
    return verdict.label not in UNFIT and not rows_lost


def challenge(
    champion: GateRule, popularity: GateRule | None, others: Sequence[GateRule], *, digest: str, how: str
) -> Verdict:
    """The verdict on a challenger that was compared with champion `digest`; `how` names the fair comparison.

    others: further rules; the first that fails stops it, hard checks and stale or drifted data before any comparison.
    """
    rules = (champion, *((popularity,) if popularity else ()), *others)
    judged = f"champion {digest[:12]} judged by {how}"
    telling, stops = _stops(champion, popularity, others)
    if stops:
        return _stopped(stops, f"{telling.text}; {judged}", rules, BLEND)
    proven: Label = "better" if champion.low is not None and champion.low > 0 else "not worse"
    unsure = next((rule for rule in rules if rule.state == "inconclusive"), None)
    label: Label = "unproven" if unsure else proven
    sentence = f"promote ({label}): {(unsure or champion).text}; {judged}"
    return Verdict(decision="promote", label=label, model=BLEND, sentence=sentence, rules=rules)


def _stopped(label: Label, reason: str, rules: Sequence[GateRule], model: str) -> Verdict:
    decision: Decision = "reject" if label in REJECTS else "hold"
    return Verdict(
        decision=decision, label=label, model=model, sentence=f"{decision} ({label}): {reason}", rules=tuple(rules)
    )


def _stops(
    champion: GateRule, popularity: GateRule | None, others: Sequence[GateRule]
) -> tuple[GateRule, Label | None]:
    """The rule that stops the challenger and what that is called; no label where none does."""
    failed = {rule.name: rule for rule in others if rule.state == "failed"}
    for name in (SOUND, FRESH, LIKE):
        if name in failed:
            return failed[name], STOPS[name]
    if champion.state == "not measured":
        return champion, "not measured"
    if champion.state == "failed":
        return champion, "worse"
    if popularity is not None and popularity.state == "not measured":
        return popularity, "not measured"
    if popularity is not None and popularity.state == "failed":
        return popularity, "not better than popularity"
    for name, rule in failed.items():
        return rule, STOPS[name]
    return champion, None


def refuse(
    label: Literal["blocked", "not comparable", "champion unreadable"], reason: str, rules: Sequence[GateRule]
) -> Verdict:
    """Stopped without a comparison; the reason says what a person can do."""
    return _stopped(label, reason, rules, BLEND)


def plain(name: str, state: State, bound: float, point: float | None, users: int, text: str) -> GateRule:
    """A rule whose figure has no interval."""
    return GateRule(
        name=name,
        state=state,
        bound=bound,
        point=point,
        low=None,
        high=None,
        half_width=None,
        users=users,
        users_needed=None,
        detectable=None,
        text=text,
    )


def _rule(name: str, state: State, bound: float, d: Difference) -> GateRule:
    whom = name.rsplit(" ", 1)[1]
    text = f"NDCG@10 {d.point:+.1%} against {whom} (bounds {d.low:+.1%} to {d.high:+.1%}, {d.users:,} users)"
    needed = d.users_needed if state == "inconclusive" else None
    if needed is not None:
        text += f", which can't be told from chance; about {needed:,} users would be needed"
    return GateRule(
        name=name,
        state=state,
        bound=bound,
        point=d.point,
        low=d.low,
        high=d.high,
        half_width=d.half_width,
        users=d.users,
        users_needed=needed,
        detectable=d.detectable,
        text=text,
    )


def _undefined(name: str, bound: float, users: int, score: float) -> GateRule:
    """A rule without a relative difference: passed if the challenger scores and the other does not."""
    whom = name.rsplit(" ", 1)[1]
    text = f"NDCG@10 {score:.4f} where {whom} scores 0 ({users:,} users)"
    if users == 1:
        text = f"not measured against {whom}: one user, who tells nothing of others"
    elif not score:
        why = f"neither scores on any of {users:,} users" if users else "there are no test users"
        text = f"not measured against {whom}: {why}"
    return plain(name, "passed" if score and users > 1 else "not measured", bound, None, users, text)
