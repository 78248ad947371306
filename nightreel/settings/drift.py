"""The part `evaluate.drift` of params.yaml: how far tonight's data may be from the last good ones."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat

from nightreel.settings.section import Section


class Limits(Section):
    """Bounds of one figure; what chance alone may give is never beyond them."""

    warn: NonNegativeFloat
    """Above this the report warns."""
    stop: NonNegativeFloat | None
    """Above this the verdict holds; null: never. Of a distribution its lower confidence limit has to be above, and that
    of a second figure above its own stop."""


class Drift(Section):
    psi: Limits
    """Population stability index of a distribution of the whole snapshot against the last good one."""
    ks: Limits
    """Kolmogorov-Smirnov distance of the same, for numbers. Its stop is also the share of values that must surely lie
    elsewhere for any PSI to stop."""
    new_events: Limits
    """PSI of the events since the last good snapshot: a night is less even than a year, so these are wider."""
    content: Limits
    """PSI of where items, and what is taken, lie along the main directions of the encoder's vectors."""
    null_rate: Limits
    """By how much a column's share of filled cells may fall."""
    row_loss: Limits
    """Share of the last good snapshot's rows that may be gone (users, items or events)."""
    row_growth: Limits
    """Share of rows that may have come on top."""
    new_users: Limits
    """Share of today's users that the last good snapshot did not have."""
    new_items: Limits
    """Share of today's items that it did not have."""
    min_values: Annotated[int, Field(ge=1)]
    """Fewer values than this tell nothing of a distribution."""
    independent: Annotated[int, Field(ge=1)]
    """Values of different users or items that a distribution needs to stop a night (Kish's effective number for events:
    a user's own are alike); with fewer it warns. Lower stops small platforms' nights sooner, and for less."""
