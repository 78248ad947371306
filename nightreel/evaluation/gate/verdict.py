"""The verdict: promote, hold or reject, by stated rules.

Reject: the evidence speaks against this candidate, and would again. Hold: nothing speaks against the candidate, but it
can't be judged (because of the data, the champion or too few users); once that is corrected, run it again.

Not worse than the champion: passed if the lower bound (one-sided, at the configured confidence) of the paired relative
NDCG@10 difference is at least minus the margin; failed if it is not and the upper bound is at most 0; `inconclusive`
between the two. An inconclusive result requires a CI half-width above margin/2. Requiring the full margin would reject
25% of equal challengers at some numbers of users (see benchmarks.evaluation.gate).
Better than popularity: passed if the lower bound is above 0; inconclusive if the half-width is above the margin and the
point estimate above 0. An inconclusive rule lets the candidate pass, labelled `unproven`, and reports how many users
would give a clear result. The rules in nightreel.evaluation.gate.gate_rules stop a challenger only if they fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nightreel.evaluation.metrics.bootstrap import Difference
from nightreel.evaluation.test_set import POPULARITY
from nightreel.models.engine import BLEND

SOUND, FRESH = "list integrity", "data freshness"
LIKE = "data drift"
WHOLE, COVERED, BEHAVES = "no slice regression", "catalogue coverage", "behavioural tests"
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
"""Labels of a rejection: the candidate itself is at fault. A candidate with any other failed rule is held."""


UNFIT: frozenset[Label] = frozenset({"blocked", "stale data", "not comparable", "champion unreadable"})
"""Labels of nights whose log the live version can't, or must not, be refitted on."""


class GateRule(BaseModel):
    """The result of one rule: its bound and the measured value, None where not measured.

    The unit of `bound` and `point` depends on the rule: relative NDCG@10 difference; faulty lists (SOUND), days
    (FRESH), drift figures beyond their stop (LIKE), share of the champion's coverage (COVERED), failed tests (BEHAVES).
    detectable: the smallest loss detectable with this number of users, see bootstrap.Difference.
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
    """The decision on the candidate and its reasons.

    model: the one whose lists would be served; override: {by, reason, instead_of} if a person decided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision
    label: Label
    model: str
    sentence: str
    rules: tuple[GateRule, ...]
    override: dict[str, str] | None = None


def against_champion(
    difference: Difference | None, *, margin: float, users: int, score: float, confidence: float
) -> GateRule:
    """Apply the rule `not worse than the champion`.

    Args:
        difference: Paired relative difference; None if undefined (fewer than two test users, or a champion that
            scores 0).
        margin: Largest tolerated relative loss, such as 0.03.
        users: Number of test users.
        score: The challenger's mean NDCG@10.
        confidence: Level of each one-sided bound, such as 0.95.
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
    return _rule(name, state, -margin, difference, confidence)


def against_popularity(
    difference: Difference | None, *, margin: float, users: int, score: float, confidence: float
) -> GateRule:
    """Apply the rule `better than popularity`; arguments as in `against_champion`."""
    name = POPULARITY_RULE
    if difference is None:
        return _undefined(name, 0.0, users, score)
    if difference.low > 0:
        state: State = "passed"
    elif difference.half_width > margin and difference.point > 0:
        state = "inconclusive"
    else:
        state = "failed"
    return _rule(name, state, 0.0, difference, confidence)


def first(
    popularity: GateRule | None,
    others: Sequence[GateRule],
    behaves: GateRule,
    *,
    model: str,
    replaces: str | None,
    behind: str,
) -> Verdict:
    """The verdict without a champion, or with one from other data: publish the best model as the baseline.

    Args:
        popularity: The result of `better than popularity`, if measured.
        others: Rules that stop even a baseline if they fail.
        behaves: The behavioural tests of the blend; reported only, since there is no better alternative.
        model: The result of `best`.
        replaces: Why the champion is replaced; None if there is none.
        behind: What ranks the model's lists, in words: `lists ranked by …`.
    """
    rules = (*((popularity,) if popularity else ()), *others, behaves)
    failed = next((rule for rule in others if rule.state == "failed"), None)
    if failed:
        return _stopped(STOPS[failed.name], failed.text, rules, model)
    why = replaces or "no version is live yet"
    parts = [f"Promoted as the {'new ' if replaces else ''}baseline: {why}", behind[:1].upper() + behind[1:]]
    if popularity:
        unclear = popularity.state == "failed" and popularity.high is not None and popularity.high >= 0
        parts.append(popularity.text + (", not significant" if unclear else ""))
    if against := _with_a_champion(popularity, [*others, behaves], behaves):
        parts.append(against)
    return Verdict(
        decision="promote",
        label="replaced" if replaces else "baseline",
        model=model,
        sentence=". ".join(parts) + ".",
        rules=rules,
    )


def _with_a_champion(popularity: GateRule | None, others: Sequence[GateRule], behaves: GateRule) -> str:
    """What the rules would decide if a version were live; empty if none of them would stop the candidate."""
    passed = plain(CHAMPION_RULE, "passed", 0.0, None, 0, "")
    rule, label = _first_failure(passed, popularity, others)
    if label is None:
        return ""
    tests = f"{behaves.point or 0:.0f} behavioural test{'' if behaves.point == 1 else 's'} ({behaves.text})"
    if rule is behaves:
        reason = f"it fails {tests}"
    else:
        reason = "the comparison with popularity was not measured" if label == "not measured" else label
        reason += f"; it also fails {tests}" if behaves.state == "failed" else ""
    decision = "rejected" if label in REJECTS else "held"
    return f"If a version were already live, this one would be {decision}: {reason}"


def best(popularity: GateRule | None) -> str:
    """The model to publish without a champion: the blend, or popularity if the blend is significantly worse or the
    comparison could not be measured."""
    if popularity is None:
        return BLEND
    worse = popularity.high is not None and popularity.high < 0
    return POPULARITY if worse or popularity.state == "not measured" else BLEND


def refreshes(verdict: Verdict, *, rows_lost: bool) -> bool:
    """Whether the live version is refitted on tonight's log if the candidate is not published.

    It is not if the log itself is in doubt, or if a rollback blocked this recipe. rows_lost: whether the log lacks
    rows that an earlier night had.
    """
    return verdict.label not in UNFIT and not rows_lost


def challenge(
    champion: GateRule, popularity: GateRule | None, others: Sequence[GateRule], *, digest: str, how: str
) -> Verdict:
    """The verdict on a challenger that was compared with a champion.

    Args:
        champion: The result of `not worse than the champion`.
        popularity: The result of `better than popularity`, if measured.
        others: The other rules. List integrity and the data rules take precedence over the comparisons.
        digest: The champion's digest.
        how: The method of comparison, in words.
    """
    rules = (champion, *((popularity,) if popularity else ()), *others)
    compared = f"champion {digest[:12]} compared by {how}"
    failed_rule, failure = _first_failure(champion, popularity, others)
    if failure:
        return _stopped(failure, f"{failed_rule.text}; {compared}", rules, BLEND)
    proven: Label = "better" if champion.low is not None and champion.low > 0 else "not worse"
    unsure = next((rule for rule in rules if rule.state == "inconclusive"), None)
    label: Label = "unproven" if unsure else proven
    sentence = f"promote ({label}): {(unsure or champion).text}; {compared}"
    return Verdict(decision="promote", label=label, model=BLEND, sentence=sentence, rules=rules)


def _stopped(label: Label, reason: str, rules: Sequence[GateRule], model: str) -> Verdict:
    decision: Decision = "reject" if label in REJECTS else "hold"
    return Verdict(
        decision=decision, label=label, model=model, sentence=f"{decision} ({label}): {reason}", rules=tuple(rules)
    )


def _first_failure(
    champion: GateRule, popularity: GateRule | None, others: Sequence[GateRule]
) -> tuple[GateRule, Label | None]:
    """The rule that stops the challenger, and the label of that failure; None if no rule does."""
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
    """The verdict on a candidate that can't be compared; the reason says what to do."""
    return _stopped(label, reason, rules, BLEND)


def plain(name: str, state: State, bound: float, point: float | None, users: int, text: str) -> GateRule:
    """The result of a rule whose value has no interval."""
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


def _rule(name: str, state: State, bound: float, d: Difference, confidence: float) -> GateRule:
    whom = name.rsplit(" ", 1)[1]
    bounds = f"one-sided {confidence * 100:.4g}% bounds: {d.low:+.1%} and {d.high:+.1%}"
    text = f"NDCG@10 {d.point:+.1%} against {whom} ({bounds}; {d.users:,} users)"
    needed = d.users_needed if state == "inconclusive" else None
    if needed is not None:
        text += f", not significant; about {needed:,} users would be needed"
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
    """The result of a rule whose relative difference is undefined: passed if only the challenger scores above 0."""
    whom = name.rsplit(" ", 1)[1]
    text = f"NDCG@10 {score:.4f} where {whom} scores 0 ({users:,} users)"
    if users == 1:
        text = f"not measured against {whom}: one test user is not enough"
    elif not score:
        why = f"neither scores on any of {users:,} users" if users else "there are no test users"
        text = f"not measured against {whom}: {why}"
    return plain(name, "passed" if score and users > 1 else "not measured", bound, None, users, text)
