"""Gate rules other than accuracy: list integrity, data freshness and drift, slices, coverage, behavioural tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest
from nightreel.evaluation.drift.drift_bounds import TRAINING, DriftFigure
from nightreel.evaluation.gate.verdict import BEHAVES, COVERED, FRESH, LIKE, SOUND, WHOLE, GateRule, State, plain
from nightreel.evaluation.segments.slice_tests import SliceScore

DAY = 86_400.0
NAMED = 3
"""Number of warnings that a rule quotes."""


def sound_lists(faults: Mapping[str, int], users: int) -> GateRule:
    """List integrity: no list of the model that would be served fails a hard check. faults: check → failing lists."""
    found = {check: count for check, count in faults.items() if count}
    text = "; ".join(f"{check}: {count:,} of {users:,} lists" for check, count in found.items())
    worst = float(max(faults.values(), default=0))
    return plain(SOUND, "failed" if found else "passed", 0.0, worst, users, text or f"all {users:,} lists are valid")


def fresh_data(ours: float, champion: float, *, days: float, clock: str, same_source: bool) -> GateRule:
    """Data freshness: the data end at most `days` before the champion's did (erasures may remove the last events).

    Not measured without a clock or against another source. ours, champion: epoch second of the last event.
    """
    if clock != "time" or not same_source:
        why = "there is no common clock" if clock != "time" else "the champion was trained on another source"
        return plain(FRESH, "not measured", -days, None, 0, f"freshness is not measured: {why}")
    behind = (ours - champion) / DAY
    state: State = "passed" if behind >= -days else "failed"
    place = "after" if behind >= 0 else "before"
    return plain(FRESH, state, -days, behind, 0, f"the data end {abs(behind):,.1f} days {place} the champion's")


def steady_data(changes: Sequence[DriftFigure]) -> GateRule:
    """Data drift: against the last good snapshot, no figure is beyond its stop in evaluate.drift."""
    of_champion = [each for each in changes if each.against != TRAINING]
    measured = [each for each in of_champion if each.figure is not None]
    stops = [each for each in measured if each.state == "stop"]
    if not measured:
        why = of_champion[0].text if of_champion else "not measured: nothing was compared"
        return plain(LIKE, "not measured", 0.0, None, 0, f"drift is {why}")
    warned = [each for each in measured if each.state == "warning"]
    text = "; ".join(f"{each.what}: {each.text} (stop at {each.stop:g})" for each in stops)
    named = "; ".join(f"{each.what}: {each.text}" for each in warned[:NAMED])
    text = text or f"{len(measured)} drift figures, {len(warned)} with a warning" + (f": {named}" if warned else "")
    return plain(LIKE, "failed" if stops else "passed", 0.0, float(len(stops)), 0, text)


def whole_slices(slices: Sequence[SliceScore], *, margin: float, least_users: int) -> GateRule:
    """No slice regression: no slice is significantly worse (Holm-corrected upper bound below 0) by more than the
    margin."""
    tested = [each for each in slices if each.upper is not None]
    if not tested:
        why = f"no slice has at least {least_users:,} users and a comparison"
        return plain(WHOLE, "not measured", -margin, None, 0, f"slices are not tested: {why}")
    broken = [each for each in tested if each.broken]
    worst = min(broken or tested, key=lambda each: each.difference.point if each.difference else 0.0)
    assert worst.difference is not None
    figure = f"{worst.by} {worst.name}: NDCG@10 {worst.difference.point:+.1%}, corrected upper bound {worst.upper:+.1%}"
    head = f"{len(broken)} of {len(tested)} slices regressed, worst" if broken else f"{len(tested)} slices, lowest"
    rule = plain(
        WHOLE, "failed" if broken else "passed", -margin, worst.difference.point, worst.users, f"{head} {figure}"
    )
    return rule.model_copy(update={"high": worst.upper, "detectable": worst.difference.detectable})


def holding_coverage(ours: float, champion: float | None, *, share: float, users: int) -> GateRule:
    """Catalogue coverage: at least `share` of the champion's. ours, champion: coverage@10."""
    if not champion:
        return plain(COVERED, "not measured", share, None, users, "not measured: the champion's lists are not stored")
    ratio = ours / champion
    state: State = "passed" if ratio >= share else "failed"
    text = f"coverage {ours:.1%}, {ratio:.0%} of the champion's {champion:.1%} (threshold {share:.0%})"
    return plain(COVERED, state, share, ratio, users, text)


def sound_behaviour(tests: Sequence[BehavioralTest]) -> GateRule:
    """No behavioural test fails; tests without a threshold, or not applicable to the data, can't fail."""
    tried = [each for each in tests if each.figure is not None and each.bound is not None]
    if not tried:
        return plain(BEHAVES, "not measured", 0.0, None, 0, "no behavioural test is applicable")
    failed = [each for each in tried if each.failed]
    if failed:  # the passed tests would only hide the message
        text = "; ".join(f"{each.name}: {each.text}" for each in failed)
    else:
        passed = f"{len(tried)} test{'s' if len(tried) > 1 else ''} passed: {', '.join(each.name for each in tried)}"
        unbounded = [each for each in tests if each.figure is not None and each.bound is None]
        text = "; ".join([passed, *(f"{each.name}: {each.text}" for each in unbounded)])
    return plain(BEHAVES, "failed" if failed else "passed", 0.0, float(len(failed)), 0, text)
