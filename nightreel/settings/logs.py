"""The section `evaluate.logs` of params.yaml: estimates from logged slates, and read-outs of A/B experiments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightreel.settings.section import Section, Share


class Logs(Section):
    response_hours: Annotated[float, Field(gt=0)]
    """Attribution window in hours: a positive event is a response to the item's latest impression within it."""
    support: Share
    """Minimum share of the challenger's recommendations that the log covers; below it no estimate is made."""
    effective: Annotated[float, Field(ge=1)]
    """Minimum effective sample size of an estimate, in impressions. Lower gives estimates sooner, with more noise."""
    control: str
    """Name of the experiment's control arm; empty: the first arm by name."""
    shares: dict[str, Annotated[float, Field(gt=0)]]
    """Intended share of users by arm; empty: equal shares."""
    ratio_p: Annotated[float, Field(gt=0, lt=0.5)]
    """p-value of the sample-ratio-mismatch test (chi-square of the arms' sizes) below which an experiment is not
    evaluated, because users were lost or assigned wrongly."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)]
    """Probability that any interval, of any arm on any night, misses the true value. Lower makes the intervals
    wider."""
    tightest: Annotated[float, Field(gt=0)]
    """Number of users for which the sequential intervals are narrowest; for other numbers they are slightly wider."""
    returns: Annotated[tuple[float, float], Field()]
    """First and last day, counted from a user's first event in the experiment, on which another event is a return."""
