"""The section `evaluate.drift` of params.yaml: how far tonight's data may differ from the last good snapshot."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat

from nightreel.settings.section import Section


class Limits(Section):
    """Limits of one drift statistic. Differences that sampling noise can explain never exceed them."""

    warn: NonNegativeFloat
    """Value above which the report shows a warning."""
    stop: NonNegativeFloat | None
    """Value above which the verdict is `hold`; null: never. A distribution stops a night only if its lower confidence
    limit is above this value and a second statistic (PSI or KS) is above its own `stop`."""


class Drift(Section):
    psi: Limits
    """Population stability index (PSI) of each distribution of the snapshot against the last good one."""
    ks: Limits
    """Kolmogorov-Smirnov distance of the same distributions, for numbers. Its `stop` is also the share of values that
    must surely have moved before any PSI stops a night."""
    new_events: Limits
    """PSI of the events since the last good snapshot. One night varies more than a whole log, so these limits are
    wider."""
    content: Limits
    """PSI of the content vectors, of the items and of the positive events, along their main directions."""
    null_rate: Limits
    """Drop in the share of filled cells of a column."""
    row_loss: Limits
    """Share of the last good snapshot's users, items or events that are gone."""
    row_growth: Limits
    """Added users, items or events, as a share of the last good snapshot's; 1.0 is a doubling."""
    new_users: Limits
    """Share of today's users that are not in the last good snapshot."""
    new_items: Limits
    """Share of today's items that are not in the last good snapshot."""
    min_values: Annotated[int, Field(ge=1)]
    """Minimum number of values for a drift test. Lower tests smaller columns, with noisier results."""
    independent: Annotated[int, Field(ge=1)]
    """Minimum number of independent values (of different users or items; for events, whose values are alike within a
    user, Kish's effective sample size) for a distribution to stop a night; with fewer it only warns. Lower lets drift
    stop the nights of small platforms, more often by chance."""
