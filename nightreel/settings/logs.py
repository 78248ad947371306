"""The part `evaluate.logs` of params.yaml: what is read from logged slates and from experiments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section, Share


class Logs(Section):
    response_hours: Annotated[float, Field(gt=0)]
    """A positive event counts as the response to the item's latest impression within this many hours before it."""
    support: Share
    """Least share of what the challenger would show that the log can speak for; below it nothing is estimated."""
    effective: Annotated[float, Field(ge=1)]
    """Least effective sample size (impressions) of an estimate."""
    control: str
    """The experiment's arm that the others are compared with; empty: the first by name."""
    shares: dict[str, Annotated[float, Field(gt=0)]]
    """Shares of users that the arms were meant to get; empty: equal ones."""
    ratio_p: Annotated[float, Field(gt=0, lt=0.5)]
    """Chi-square p-value of the arms' sizes below which an experiment is not read: users were lost or misdirected."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    """Chance that an interval misses the truth on any night of all, for all arms together."""
    tightest: Annotated[float, Field(gt=0)]
    """Users at which the sequential intervals are tightest; elsewhere they are a little wider."""
    returns: Annotated[tuple[float, float], Field()]
    """Days after a user's first event in the experiment between which another one counts as a return."""
