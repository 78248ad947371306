"""Figures of drift against their bounds, and when one of them stops a night.

A distribution stops it only with size, effect and confirmation: values of enough users (evaluate.drift.independent), a
PSI whose lower limit is beyond its stop, and a second figure, the share of values that lie elsewhere, whose lower limit
is beyond its own (evaluate.drift.ks). Else it warns. PSI alone is no ground: one new label with 3% of the values gives
0.3, and the habits of few users pass for everybody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nightreel.evaluation.drift.data_profile import CONTENT
from nightreel.evaluation.drift.histogram import Histogram, HistogramDistance, apart, ks, psi
from nightreel.settings import Drift, Limits

SNAPSHOT, ARRIVALS, TRAINING = "the last good snapshot", "its events, by those since", "training, by the test's events"
LOST = "fewer rows"
State = Literal["steady", "warning", "stop", "told", "not measured"]


@dataclass(frozen=True)
class DriftFigure:
    """One figure of drift. against: SNAPSHOT, ARRIVALS or TRAINING; warn, stop: its bounds, None where it has none;
    state: `told` where it has neither."""

    against: str
    what: str
    figure: float | None
    warn: float | None
    stop: float | None
    state: State
    text: str


def lost_rows(changes: Sequence[DriftFigure]) -> bool:
    """Whether a table lacks so many of the rows that the last good snapshot had that the night is stopped."""
    return any(each.state == "stop" and each.what.startswith(LOST) for each in changes)


def distributions(
    against: str,
    before: Mapping[str, Histogram],
    now: Mapping[str, Histogram],
    settings: Drift,
    limits: Limits,
    independent: float,
) -> Iterator[DriftFigure]:
    """PSI of every spread that both have, and KS of numbers (of whole snapshots and of training). independent: how many
    values of different users or items stand behind `now`."""
    few = [name for name, other in now.items() if min(before[name].total, other.total) < settings.min_values]
    if few:
        why = f"fewer than evaluate.drift.min_values = {settings.min_values:,} values: {', '.join(few)}"
        yield unmeasured(against, f"{len(few)} distributions", why)
    for name in (name for name in now if name not in few):
        reference, other = before[name], now[name]
        content = name.startswith(CONTENT)
        figure, chance = psi(reference, other)
        bounds = settings.content if content and against != ARRIVALS else limits
        change = bounded(against, name, figure, bounds, f"PSI {figure:.3f} of {other.total:,} values", chance)
        yield _confirmed(change, reference, other, bounds, settings, independent)
        numbers = bool(reference.marks) and not isinstance(reference.marks[0], str)
        if numbers and not content and against != ARRIVALS:
            figure, chance = ks(reference, other)
            change = bounded(against, f"{name} (KS)", figure, settings.ks, f"KS distance {figure:.3f}", chance)
            yield _confirmed(change, reference, other, bounds, settings, independent)


def _confirmed(
    change: DriftFigure, reference: Histogram, other: Histogram, limits: Limits, settings: Drift, independent: float
) -> DriftFigure:
    """A stop, if it is sure and a second figure confirms it; else a warning that says what is lacking."""
    if change.state != "stop":
        return change
    found = apart(reference, other, independent)
    lacking = list(_lacking(found, limits.stop, settings))
    text = f"{change.text}, surely at least {max(found.least_psi, 0):.3f}; {found.moved:.0%} of them lie elsewhere"
    if not lacking:
        return replace(change, text=text)
    return replace(change, state="warning", text=f"{text}; no stop: {', '.join(lacking)}")


def _lacking(found: HistogramDistance, stop: float | None, settings: Drift) -> Iterator[str]:
    if found.values < settings.independent:
        yield f"worth {found.values:,.0f} independent values, fewer than {settings.independent:,}"
    if stop is None or found.least_psi <= stop:
        yield "PSI may be below its stop"
    if settings.ks.stop is None or found.least_moved <= settings.ks.stop:
        yield "what lies elsewhere may be less than evaluate.drift.ks.stop"


def share_of(what: str, count: int, of: int, limits: Limits) -> DriftFigure:
    return bounded(SNAPSHOT, what, count / max(of, 1), limits, f"{count:,} of {of:,} ({count / max(of, 1):.1%})")


def bounded(against: str, what: str, figure: float, limits: Limits, text: str, chance: float = 0.0) -> DriftFigure:
    """A figure against its bounds; within what chance alone may give it is steady."""
    state: State = "steady"
    if figure > max(limits.warn, chance):
        state = "warning" if limits.stop is None or figure <= limits.stop else "stop"
    return DriftFigure(against, what, round(figure, 6), limits.warn, limits.stop, state, text)


def unmeasured(against: str, what: str, why: str) -> DriftFigure:
    return DriftFigure(against, what, None, None, None, "not measured", f"not measured: {why}")
