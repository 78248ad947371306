"""The rules by table: what is found → what is decided, in words that name the figure."""

from __future__ import annotations

from typing import Any

import pytest

from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest
from nightreel.evaluation.gate.gate_rules import sound_behaviour
from nightreel.evaluation.gate.verdict import (
    GateRule,
    against_champion,
    against_popularity,
    best,
    challenge,
    first,
    refreshes,
    refuse,
)
from nightreel.evaluation.metrics.bootstrap import Difference

MARGIN = 0.03
BEHAVES = sound_behaviour([])
BEHIND = "lists ranked by 80 trees over 5 models"


def found(low: float, point: float, high: float, users: int = 900) -> Difference:
    half_width = (high - low) / 2
    needed, deviation = round(users * (half_width / MARGIN) ** 2), half_width / 1.645
    return Difference(point, low, high, half_width, users, needed, deviation, 2.486 * deviation)


def champion_rule(difference: Difference | None, score: float = 0.1) -> GateRule:
    return against_champion(difference, margin=MARGIN, users=900, score=score, confidence=0.95)


def popularity_rule(difference: Difference | None, score: float = 0.1) -> GateRule:
    return against_popularity(difference, margin=MARGIN, users=900, score=score, confidence=0.95)


@pytest.mark.parametrize(
    ("low", "point", "high", "state"),
    [
        (0.01, 0.03, 0.05, "passed"),
        (-0.02, 0.00, 0.02, "passed"),
        (-0.03, -0.01, 0.01, "passed"),  # the bound itself passes
        (-0.01, 0.20, 0.41, "passed"),  # wide, yet surely no loss beyond the margin
        (-0.031, -0.01, 0.011, "inconclusive"),  # neither a loss beyond the margin nor an equal can be ruled out
        (-0.031, -0.016, -0.001, "failed"),  # surely a loss, perhaps beyond the margin
        (-0.02, -0.01, -0.001, "passed"),  # surely a loss, and within the margin
        (-0.09, -0.02, 0.05, "inconclusive"),
        (-0.20, -0.10, 0.00, "failed"),  # wide, but no gain is in sight
        (-0.30, -0.20, -0.10, "failed"),
    ],
)
def test_not_worse_than_the_champion(low: float, point: float, high: float, state: str) -> None:
    assert champion_rule(found(low, point, high)).state == state


@pytest.mark.parametrize(
    ("low", "point", "high", "state"),
    [
        (0.20, 0.40, 0.60, "passed"),
        (-0.01, 0.01, 0.03, "failed"),  # narrow, and not above popularity
        (-0.10, 0.05, 0.20, "inconclusive"),
        (-0.10, -0.01, 0.08, "failed"),
        (-0.5, -0.3, -0.1, "failed"),
    ],
)
def test_better_than_popularity(low: float, point: float, high: float, state: str) -> None:
    assert popularity_rule(found(low, point, high)).state == state


@pytest.mark.parametrize(
    ("champion", "popularity", "decision", "label"),
    [
        (found(0.01, 0.03, 0.05), found(0.2, 0.4, 0.6), "promote", "better"),
        (found(-0.02, 0.0, 0.02), found(0.2, 0.4, 0.6), "promote", "not worse"),
        (found(-0.09, 0.0, 0.09), found(0.2, 0.4, 0.6), "promote", "unproven"),
        (found(0.01, 0.03, 0.05), found(-0.1, 0.1, 0.3), "promote", "unproven"),
        (found(-0.3, -0.2, -0.1), found(0.2, 0.4, 0.6), "reject", "worse"),
        (found(0.01, 0.03, 0.05), found(-0.3, -0.2, -0.1), "reject", "not better than popularity"),
        (found(-0.09, 0.0, 0.09), found(-0.3, -0.2, -0.1), "reject", "not better than popularity"),
    ],
)
def test_a_challenge(champion: Difference, popularity: Difference, decision: str, label: str) -> None:
    verdict = challenge(champion_rule(champion), popularity_rule(popularity), [], digest="f" * 64, how="rule (c)")
    assert (verdict.decision, verdict.label, verdict.model) == (decision, label, "blend")
    assert verdict.sentence.startswith(f"{decision} ({label}): ")
    assert "ffffffffffff compared by rule (c)" in verdict.sentence


def test_an_unproven_promotion_says_how_many_users_it_would_need() -> None:
    rule = champion_rule(found(-0.06, 0.0, 0.06))
    assert rule.users_needed == 3600
    assert "about 3,600 users would be needed" in challenge(rule, None, [], digest="a" * 64, how="x").sentence


def test_nothing_to_compare_holds_and_says_so() -> None:
    rule = against_champion(None, margin=MARGIN, users=0, score=0.0, confidence=0.95)
    verdict = challenge(rule, None, [], digest="a" * 64, how="x")
    assert (verdict.decision, verdict.label) == ("hold", "not measured")
    assert "there are no test users" in verdict.sentence


def test_a_champion_that_scores_nothing_is_no_reason_to_hold() -> None:
    assert champion_rule(None, score=0.1).state == "passed"
    rule = champion_rule(None, score=0.0)
    assert rule.state == "not measured"
    assert "neither scores on any of 900 users" in rule.text


@pytest.mark.parametrize(
    ("popularity", "model"),
    [
        (popularity_rule(found(0.2, 0.4, 0.6)), "blend"),
        (popularity_rule(found(-0.1, 0.1, 0.3)), "blend"),
        (popularity_rule(found(-0.3, -0.2, -0.1)), "popularity"),
        (popularity_rule(found(-0.2, -0.1, 0.01)), "blend"),  # not shown to be worse: validation's choice stands
        (popularity_rule(None, score=0.0), "popularity"),
        (None, "blend"),
    ],
)
def test_without_a_champion_the_best_is_the_baseline(popularity: GateRule | None, model: str) -> None:
    verdict = first(popularity, [], BEHAVES, model=best(popularity), replaces=None, behind=BEHIND)
    assert (verdict.decision, verdict.label, verdict.model) == ("promote", "baseline", model)
    assert verdict.sentence.startswith("Promoted as the baseline: no version is live yet. Lists ranked by 80 trees")


def test_a_blend_that_misbehaves_is_a_baseline_and_it_is_said() -> None:
    opposite = sound_behaviour([BehavioralTest("lists follow a genre preference", -0.5, 0.0, 8, "-50.0%")])
    verdict = first(None, [], opposite, model="blend", replaces=None, behind=BEHIND)
    assert (verdict.decision, verdict.rules) == ("promote", (opposite,))
    assert (
        "If a version were already live, this one would be rejected: it fails 1 behavioural test "
        "(lists follow a genre preference: -50.0%)." in verdict.sentence
    )


def test_another_data_set_replaces_with_the_reason() -> None:
    verdict = first(
        None,
        [],
        BEHAVES,
        model="blend",
        replaces="champion abc knows 0% of today's items and comes from 'x', not 'y'",
        behind=BEHIND,
    )
    assert (verdict.decision, verdict.label) == ("promote", "replaced")
    assert "comes from 'x', not 'y'" in verdict.sentence


def test_refusals_hold_with_the_reason() -> None:
    verdict = refuse("blocked", "a rollback blocked this recipe", [])
    assert (verdict.decision, verdict.sentence) == ("reject", "reject (blocked): a rollback blocked this recipe")


def test_a_first_night_names_what_ranks_and_never_calls_it_better_where_it_is_not() -> None:
    verdict = first(popularity_rule(found(-0.2, -0.1, 0.01)), [], BEHAVES, model="blend", replaces=None, behind=BEHIND)
    assert ". Lists ranked by 80 trees over 5 models. NDCG@10 -10.0% against popularity" in verdict.sentence
    assert "(one-sided 95% bounds: -20.0% and +1.0%; 900 users), not significant. If" in verdict.sentence
    assert verdict.sentence.endswith("this one would be rejected: not better than popularity.")
    better = first(popularity_rule(found(0.2, 0.4, 0.6)), [], BEHAVES, model="blend", replaces=None, behind=BEHIND)
    assert "would be" not in better.sentence and "not significant" not in better.sentence


@pytest.mark.parametrize("label", ["blocked", "not comparable", "champion unreadable"])
def test_a_night_whose_log_is_in_doubt_refreshes_nothing(label: Any) -> None:
    assert not refreshes(refuse(label, "why", []), rows_lost=False)


def test_a_rejected_night_refreshes_unless_rows_were_lost() -> None:
    worse = challenge(champion_rule(found(-0.3, -0.2, -0.1)), None, [], digest="f" * 64, how="rule (c)")
    assert worse.label == "worse"
    assert refreshes(worse, rows_lost=False) and not refreshes(worse, rows_lost=True)
