"""The verdict: promote or hold, by one stated rule against the champion and one against popularity.

Not worse than the champion: the lower bound (one-sided, at the set confidence) of the paired relative NDCG@10
difference is at least minus the margin. Better than popularity: the point is above 0, and so is that lower bound.
Where few users leave the half-width beyond the margin, neither can be shown: the rule is `inconclusive`. It lets a
challenger pass whose upper bound is above 0 (against popularity: whose point is, too), labelled `unproven`, with the
number of users that it would take to know.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.evaluation.intervals import Difference
from tasks.evaluation.trial import POPULARITY
from tasks.models.engine import BLEND

State = Literal["passed", "inconclusive", "failed", "not measured"]
Label = Literal[
    "better", "not worse", "unproven", "baseline", "replaced",
    "worse", "not better than popularity", "not comparable", "blocked", "not measured",
]  # fmt: skip


class Rule(BaseModel):
    """One rule with its bound and what was found; figures are relative NDCG@10 differences, None if not measured."""

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
    text: str


class Verdict(BaseModel):
    """What is to be done with the candidate, and why. model: the one whose lists would be served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["promote", "hold"]
    label: Label
    model: str
    sentence: str
    rules: tuple[Rule, ...]


def against_champion(difference: Difference | None, *, margin: float, users: int, score: float) -> Rule:
    """The rule `not worse than the champion`.

    difference: None where a share is undefined: no test users, or the champion scores 0; score: the challenger's mean.
    """
    name = "not worse than the champion"
    if difference is None:
        return _undefined(name, -margin, users, score)
    if difference.low >= -margin:
        state: State = "passed"
    elif difference.half_width > margin and difference.high > 0:
        state = "inconclusive"
    else:
        state = "failed"
    return _rule(name, state, -margin, difference)


def against_popularity(difference: Difference | None, *, margin: float, users: int, score: float) -> Rule:
    """The rule `better than popularity`; arguments as in against_champion."""
    name = "better than popularity"
    if difference is None:
        return _undefined(name, 0.0, users, score)
    if difference.low > 0:
        state: State = "passed"
    elif difference.half_width > margin and difference.point > 0:
        state = "inconclusive"
    else:
        state = "failed"
    return _rule(name, state, 0.0, difference)


def first(popularity: Rule | None, *, replaces: str | None) -> Verdict:
    """No champion, or one of other data (`replaces` says why): the best model is published as the baseline.

    Best is the blend, which validation chose, unless it isn't better than popularity; then popularity is.
    """
    beaten = popularity is not None and popularity.state in ("failed", "not measured")
    model = POPULARITY if beaten else BLEND
    why = replaces or "there is no champion yet"
    detail = f"; {popularity.text}" if popularity else ""
    return Verdict(
        decision="promote",
        label="replaced" if replaces else "baseline",
        model=model,
        sentence=f"promote {model} as the {'new ' if replaces else ''}baseline: {why}{detail}",
        rules=(popularity,) if popularity else (),
    )


def challenge(champion: Rule, popularity: Rule | None, *, digest: str, how: str) -> Verdict:
    """The verdict on a challenger that was compared with champion `digest`; `how` names the fair comparison."""
    rules = (champion,) if popularity is None else (champion, popularity)
    states = [rule.state for rule in rules]
    decision: Literal["promote", "hold"] = "hold"
    label: Label
    if champion.state == "not measured":
        label = "not measured"
    elif champion.state == "failed":
        label = "worse"
    elif popularity is not None and popularity.state in ("failed", "not measured"):
        label = "not better than popularity"
    else:
        decision = "promote"
        proven: Label = "better" if champion.low is not None and champion.low > 0 else "not worse"
        label = "unproven" if "inconclusive" in states else proven
    telling = popularity if label == "not better than popularity" and popularity else champion
    if label == "unproven" and champion.state != "inconclusive" and popularity:
        telling = popularity
    sentence = f"{decision} ({label}): {telling.text}; champion {digest[:12]} judged by {how}"
    return Verdict(decision=decision, label=label, model=BLEND, sentence=sentence, rules=rules)


def refuse(label: Literal["blocked", "not comparable"], reason: str, popularity: Rule | None) -> Verdict:
    """Held without a comparison; the reason says what a person can do."""
    rules = (popularity,) if popularity else ()
    return Verdict(decision="hold", label=label, model=BLEND, sentence=f"hold ({label}): {reason}", rules=rules)


def _rule(name: str, state: State, bound: float, d: Difference) -> Rule:
    whom = name.rsplit(" ", 1)[1]
    text = f"NDCG@10 {d.point:+.1%} against {whom} (bounds {d.low:+.1%} to {d.high:+.1%}, {d.users:,} users)"
    needed = d.users_needed if state == "inconclusive" else None
    if needed is not None:
        text += f", which can't be told from chance; about {needed:,} users would be needed"
    return Rule(
        name=name, state=state, bound=bound, point=d.point, low=d.low, high=d.high, half_width=d.half_width,
        users=d.users, users_needed=needed, text=text,
    )  # fmt: skip


def _undefined(name: str, bound: float, users: int, score: float) -> Rule:
    """A rule without a relative difference: passed if the challenger scores and the other does not."""
    whom = name.rsplit(" ", 1)[1]
    text = f"NDCG@10 {score:.4f} where {whom} scores 0 ({users:,} users)"
    if not score:
        why = f"neither scores on any of {users:,} users" if users else "there are no test users"
        text = f"not measured against {whom}: {why}"
    return Rule(
        name=name, state="passed" if score else "not measured", bound=bound, point=None, low=None, high=None,
        half_width=None, users=users, users_needed=None, text=text,
    )  # fmt: skip
