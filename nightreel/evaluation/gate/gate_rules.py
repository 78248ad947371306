"""The rules beside accuracy: sound lists, fresh and steady data, whole slices, coverage that holds, behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nightreel.evaluation.behavioral.behavioral_test import BehavioralTest
from nightreel.evaluation.drift.drift_bounds import TRAINING, DriftFigure
from nightreel.evaluation.gate.verdict import BEHAVES, COVERED, FRESH, LIKE, SOUND, WHOLE, GateRule, State, plain
from nightreel.evaluation.segments.slice_tests import SliceScore

DAY = 86_400.0
NAMED = 3
"""Warnings that a rule quotes."""


def sound_lists(faults: Mapping[str, int], users: int) -> GateRule:
    """The hard checks: no list of the model that would be served breaks one. faults: check → lists that do."""
    found = {check: count for check, count in faults.items() if count}
    text = "; ".join(f"{check}: {count:,} of {users:,} lists" for check, count in found.items())
    worst = float(max(faults.values(), default=0))
    return plain(SOUND, "failed" if found else "passed", 0.0, worst, users, text or f"all {users:,} lists are sound")


def fresh_data(ours: float, champion: float, *, days: float, clock: str, same_source: bool) -> GateRule:
    """The data reach at least as far as the champion's did, but for `days` (an erasure may take the last events).

    ours, champion: epoch second of the last event. Not measured without a clock, or against other data.
    """
    if clock != "time" or not same_source:
        why = "there is no common clock" if clock != "time" else "the champion learnt from another source"
        return plain(FRESH, "not measured", -days, None, 0, f"freshness is not measured: {why}")
    behind = (ours - champion) / DAY
    state: State = "passed" if behind >= -days else "failed"
    place = "after" if behind >= 0 else "before"
    return plain(FRESH, state, -days, behind, 0, f"the data end {abs(behind):,.1f} days {place} the champion's")


def steady_data(changes: Sequence[DriftFigure]) -> GateRule:
    """Nothing about the data is beyond a stop of evaluate.drift, against the last good snapshot."""
    of_champion = [each for each in changes if each.against != TRAINING]
    told = [each for each in of_champion if each.figure is not None]
    stops = [each for each in told if each.state == "stop"]
    if not told:
        why = of_champion[0].text if of_champion else "not measured: nothing was compared"
        return plain(LIKE, "not measured", 0.0, None, 0, f"drift is {why}")
    warned = [each for each in told if each.state == "warning"]
    text = "; ".join(f"{each.what}: {each.text} (stop at {each.stop:g})" for each in stops)
    named = "; ".join(f"{each.what}: {each.text}" for each in warned[:NAMED])
    text = text or f"{len(told)} figures of drift, {len(warned)} with a warning" + (f": {named}" if warned else "")
    return plain(LIKE, "failed" if stops else "passed", 0.0, float(len(stops)), 0, text)


def whole_slices(slices: Sequence[SliceScore], *, margin: float, least_users: int) -> GateRule:
    """No slice is surely worse (Holm-corrected upper bound below 0) and worse by more than the margin."""
    tested = [each for each in slices if each.upper is not None]
    if not tested:
        why = f"no slice has {least_users:,} users and a comparison"
        return plain(WHOLE, "not measured", -margin, None, 0, f"slices are not tested: {why}")
    broken = [each for each in tested if each.broken]
    worst = min(broken or tested, key=lambda each: each.difference.point if each.difference else 0.0)
    assert worst.difference is not None
    figure = f"{worst.by} {worst.name}: NDCG@10 {worst.difference.point:+.1%}, corrected upper bound {worst.upper:+.1%}"
    head = f"{len(broken)} of {len(tested)} slices broken, the worst" if broken else f"{len(tested)} slices, the lowest"
    rule = plain(
        WHOLE, "failed" if broken else "passed", -margin, worst.difference.point, worst.users, f"{head} {figure}"
    )
    return rule.model_copy(update={"high": worst.upper, "detectable": worst.difference.detectable})


def holding_coverage(ours: float, champion: float | None, *, share: float, users: int) -> GateRule:
    """The lists reach at least a share of as many items as the champion's. ours, champion: coverage at 10."""
    if not champion:
        return plain(COVERED, "not measured", share, None, users, "the champion's lists are not kept: no coverage")
    ratio = ours / champion
    state: State = "passed" if ratio >= share else "failed"
    text = f"coverage {ours:.1%}, {ratio:.0%} of the champion's {champion:.1%} (at least {share:.0%} is asked for)"
    return plain(COVERED, state, share, ratio, users, text)


def sound_behaviour(tests: Sequence[BehavioralTest]) -> GateRule:
    """No behavioural test fails; those that only tell, and those that can't be tried here, stop nothing."""
    tried = [each for each in tests if each.figure is not None and each.bound is not None]
    if not tried:
        return plain(BEHAVES, "not measured", 0.0, None, 0, "no behavioural test can be tried")
    failed = [each for each in tried if each.failed]
    if failed:  # that alone is to be read
        told = "; ".join(f"{each.name}: {each.text}" for each in failed)
    else:
        passed = f"{len(tried)} test{'s' if len(tried) > 1 else ''} passed: {', '.join(each.name for each in tried)}"
        only_told = [each for each in tests if each.figure is not None and each.bound is None]
        told = "; ".join([passed, *(f"{each.name}: {each.text}" for each in only_told)])
    return plain(BEHAVES, "failed" if failed else "passed", 0.0, float(len(failed)), 0, told)
