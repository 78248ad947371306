"""The rules beside accuracy, the order in which they hold, and a person's word over them."""

from __future__ import annotations

from typing import Any

import pytest

from nightreel.errors import UserError
from nightreel.evaluation.gate.gate_rules import (
    fresh_data,
    holding_coverage,
    sound_behaviour,
    sound_lists,
    whole_slices,
)
from nightreel.evaluation.gate.override import overridden
from nightreel.evaluation.gate.verdict import GateRule, Verdict, against_champion, challenge, first, refuse
from nightreel.evaluation.metrics.bootstrap import Difference, Interval
from nightreel.evaluation.segments.slice_tests import SliceScore
from nightreel.settings.evaluate import Override

DAY = 86_400.0
BEHIND = "lists ranked by the ranks of 2 models, fused"
DIGEST = "abcdef0123456789" * 4
FRESH: dict[str, Any] = {"days": 1.0, "clock": "time", "same_source": True}


def champion_rule(point: float = 0.0) -> GateRule:
    found = Difference(point, point - 0.01, point + 0.01, 0.01, 900, 100, 0.006, 0.015)
    return against_champion(found, margin=0.03, users=900, score=0.1, confidence=0.95)


def scored(upper: float, broken: bool) -> SliceScore:
    found = Difference(-0.2, -0.3, -0.1, 0.1, 90, 1000, 0.06, 0.15)
    return SliceScore("language", "pt", 90, Interval(0.1, 0.0, 0.2), found, upper, broken)


def test_a_single_unsound_list_fails() -> None:
    rule = sound_lists({"seen items": 1, "repeated items": 0}, 900)
    assert (rule.state, rule.text) == ("failed", "seen items: 1 of 900 lists")
    assert sound_lists({"seen items": 0}, 900).state == "passed"


@pytest.mark.parametrize(
    ("behind_days", "changes", "state"),
    [
        (0.0, {}, "passed"),
        (-1.0, {}, "passed"),  # an erasure may take the last events
        (-1.1, {}, "failed"),
        (-9.0, {"clock": "order"}, "not measured"),
        (-9.0, {"same_source": False}, "not measured"),
    ],
)
def test_data_that_end_before_the_champions_are_stale(behind_days: float, changes: dict[str, Any], state: str) -> None:
    rule = fresh_data(1e9 + behind_days * DAY, 1e9, **(FRESH | changes))
    assert rule.state == state


def test_the_worst_broken_slice_is_named_with_its_figures() -> None:
    rule = whole_slices([scored(-0.05, True), scored(0.01, False)], margin=0.03, least_users=50)
    assert rule.state == "failed"
    assert rule.text == "1 of 2 slices regressed, worst language pt: NDCG@10 -20.0%, corrected upper bound -5.0%"
    assert (rule.high, rule.detectable) == (-0.05, 0.15)
    assert whole_slices([scored(0.01, False)], margin=0.03, least_users=50).state == "passed"
    assert whole_slices([], margin=0.03, least_users=50).state == "not measured"


def test_coverage_is_a_share_of_the_champions() -> None:
    assert holding_coverage(0.2, 0.4, share=0.5, users=9).state == "passed"
    assert holding_coverage(0.19, 0.4, share=0.5, users=9).state == "failed"
    assert holding_coverage(0.2, None, share=0.5, users=9).state == "not measured"


BROKEN = sound_lists({"seen items": 1}, 900)
STALE = fresh_data(0.0, 1e9, **FRESH)
SLICE = whole_slices([scored(-0.05, True)], margin=0.03, least_users=50)
LOW = holding_coverage(0.01, 0.4, share=0.5, users=900)


@pytest.mark.parametrize(
    ("point", "others", "decision", "label"),
    [
        (0.0, [BROKEN, STALE, SLICE, LOW], "reject", "broken lists"),
        (-0.5, [STALE, SLICE], "hold", "stale data"),
        (-0.5, [SLICE, LOW], "reject", "worse"),
        (0.0, [SLICE, LOW], "reject", "broken slice"),
        (0.0, [LOW], "reject", "low coverage"),
        (0.0, [fresh_data(0.0, 1e9, **(FRESH | {"clock": "order"}))], "promote", "not worse"),
    ],
)
def test_any_failed_rule_stops_and_the_gravest_names_it(
    point: float, others: list[GateRule], decision: str, label: str
) -> None:
    verdict = challenge(champion_rule(point), None, others, digest=DIGEST, how="rule (c)")
    assert (verdict.decision, verdict.label) == (decision, label)
    assert verdict.rules == (champion_rule(point), *others)


def test_broken_lists_are_no_baseline_either() -> None:
    verdict = first(None, [BROKEN], sound_behaviour([]), model="blend", replaces=None, behind=BEHIND)
    assert (verdict.decision, verdict.label) == ("reject", "broken lists")


HELD = challenge(champion_rule(-0.5), None, [], digest=DIGEST, how="rule (c)")


def word(**changes: str) -> Override:
    return Override(**({"candidate": DIGEST[:12], "decision": "promote", "by": "Ann", "reason": "new genre"} | changes))


def test_a_person_can_promote_what_the_rules_stop_by_name_and_with_a_reason() -> None:
    verdict = overridden(HELD, word(), DIGEST)
    assert (verdict.decision, verdict.label) == ("promote", "overridden")
    assert verdict.sentence.startswith("promote (overridden by Ann: new genre); the rules say: reject (worse)")
    assert verdict.override == {"by": "Ann", "reason": "new genre", "instead_of": "reject (worse)"}
    assert verdict.rules == HELD.rules


@pytest.mark.parametrize("candidate", ["", "0" * 12])
def test_a_word_for_another_candidate_changes_nothing(candidate: str) -> None:
    assert overridden(HELD, word(candidate=candidate), DIGEST) is HELD


@pytest.mark.parametrize(
    "verdict",
    [
        refuse("blocked", "rolled back", []),
        first(None, [BROKEN], sound_behaviour([]), model="blend", replaces=None, behind=BEHIND),
    ],
)
def test_a_block_and_broken_lists_stay(verdict: Verdict) -> None:
    found = overridden(verdict, word(), DIGEST)
    assert (found.decision, found.override) == ("reject", None)
    assert found.sentence.endswith("this can't be overridden (Ann: new genre)")


@pytest.mark.parametrize("field", ["by", "reason"])
def test_an_unsigned_word_is_refused(field: str) -> None:
    with pytest.raises(UserError, match=r"evaluate\.override: `by` or `reason` is empty"):
        overridden(HELD, word(**{field: " "}), DIGEST)
