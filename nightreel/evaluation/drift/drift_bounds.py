"""Drift figures against their bounds, and when one of them stops a run.

A distribution stops a run only if the sample is large enough (evaluate.drift.independent), the lower limit of its PSI
is above the stop, and so is the lower limit of a second figure, the share of values that moved to other bins
(evaluate.drift.ks). Otherwise it gives a warning. PSI alone is not enough: a single new label with 3% of the values
gives 0.3, and the habits of a few users can look like those of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nightreel.evaluation.drift.data_profile import CONTENT
from nightreel.evaluation.drift.histogram import Histogram, HistogramDistance, apart, ks, psi
from nightreel.settings.drift import Drift, Limits

SNAPSHOT, ARRIVALS, TRAINING = "last good snapshot", "last good snapshot (new events)", "training (test events)"
LOST = "fewer rows"
State = Literal["steady", "warning", "stop", "info", "not measured"]


@dataclass(frozen=True)
class DriftFigure:
    """One drift figure. against: SNAPSHOT, ARRIVALS or TRAINING; warn, stop: its bounds, None if it has none; state:
    `info` if it has neither."""

    against: str
    what: str
    figure: float | None
    warn: float | None
    stop: float | None
    state: State
    text: str


def lost_rows(changes: Sequence[DriftFigure]) -> bool:
    """Whether a table lost so many rows since the last good snapshot that the run is stopped."""
    return any(each.state == "stop" and each.what.startswith(LOST) for each in changes)


def distributions(
    against: str,
    before: Mapping[str, Histogram],
    now: Mapping[str, Histogram],
    settings: Drift,
    limits: Limits,
    independent: float,
) -> Iterator[DriftFigure]:
    """PSI of every histogram in both, and KS of numeric ones (of whole snapshots and of training).

    Args:
        against: SNAPSHOT, ARRIVALS or TRAINING.
        before: The reference histograms by name.
        now: The current histograms by name.
        settings: The settings of drift.
        limits: The bounds of PSI.
        independent: Effective number of independent values behind `now`.
    """
    few = [name for name, other in now.items() if min(before[name].total, other.total) < settings.min_values]
    if few:
        why = f"fewer than {settings.min_values:,} values: {', '.join(few)}"
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
    """A stop if it is significant and confirmed by a second figure, else a warning that says what is missing."""
    if change.state != "stop":
        return change
    found = apart(reference, other, independent)
    lacking = list(_lacking(found, limits.stop, settings))
    text = f"{change.text}, 99% lower limit {max(found.least_psi, 0):.3f}; {found.moved:.0%} of the values moved"
    if not lacking:
        return replace(change, text=text)
    return replace(change, state="warning", text=f"{text}; not a stop, because {', '.join(lacking)}")


def _lacking(found: HistogramDistance, stop: float | None, settings: Drift) -> Iterator[str]:
    if found.values < settings.independent:
        yield f"the effective sample is {found.values:,.0f} values, fewer than {settings.independent:,}"
    if stop is None or found.least_psi <= stop:
        yield "PSI may be below its stop"
    if settings.ks.stop is None or found.least_moved <= settings.ks.stop:
        yield "the share of moved values may be below evaluate.drift.ks.stop"


def share_of(what: str, count: int, of: int, limits: Limits) -> DriftFigure:
    return bounded(SNAPSHOT, what, count / max(of, 1), limits, f"{count:,} of {of:,} ({count / max(of, 1):.1%})")


def bounded(against: str, what: str, figure: float, limits: Limits, text: str, chance: float = 0.0) -> DriftFigure:
    """A figure against its bounds; it is steady if chance alone can explain it."""
    state: State = "steady"
    if figure > max(limits.warn, chance):
        state = "warning" if limits.stop is None or figure <= limits.stop else "stop"
    return DriftFigure(against, what, round(figure, 6), limits.warn, limits.stop, state, text)


def unmeasured(against: str, what: str, why: str) -> DriftFigure:
    return DriftFigure(against, what, None, None, None, "not measured", f"not measured: {why}")
