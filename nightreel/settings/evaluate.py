"""The sections `evaluate`, `refit`, `publish` and `record` of params.yaml: metrics, the gate, and publication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt

from nightreel.outcome_values import checked
from nightreel.settings.drift import Drift
from nightreel.settings.logs import Logs
from nightreel.settings.section import Section, Share


class Override(Section):
    """A person's decision on one candidate, instead of the gate's. It can lift neither a rollback's block nor a failed
    hard check."""

    candidate: Annotated[str, Field(pattern=r"^([0-9a-f]{8,64})?$")]
    """First characters (at least 8) of the candidate's digest, as shown in the verdict; empty: no override."""
    decision: Literal["promote", "hold"]
    """The decision that replaces the gate's."""
    by: str
    """Who decides; required."""
    reason: str
    """Why; required. Shown in the verdict, in MLflow and with the published version."""


class Evaluate(Section):
    cutoffs: Annotated[tuple[int, ...], Field(min_length=1)]
    """List lengths k for which metrics are computed."""
    margin: Annotated[float, Field(gt=0, lt=1)]
    """Non-inferiority margin: the tolerated relative loss of NDCG@10. A smaller margin needs more users."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """One-sided confidence level of the gate's bounds. Higher demands more evidence, so fewer versions are promoted.
    Intervals labelled "95%" are two-sided."""
    bootstrap_replicates: Annotated[int, Field(ge=100, le=100_000)]
    """Number of bootstrap replicates (users are resampled); more gives steadier intervals and is slower."""
    cold_users: Annotated[int, Field(ge=1)]
    """Maximum number of users sampled for the cold-start test (8 queries each); more is steadier and slower."""
    slices: tuple[Annotated[str, Field(pattern=r"^(items|events|users)\.[A-Za-z]\w*$")], ...]
    """Columns that define user groups, in addition to activity, popularity and age: `items.language`, `events.device`,
    `users.country`, or any other column of the source (`items.studio`). Columns that are not in the contract are stored
    unchanged, so name none that identifies a person. Those of `users` count as context of newcomers, too."""
    slice_users: Annotated[int, Field(ge=10)]
    """Minimum number of users of a slice to be tested and compared. Lower is noisier; higher misses small groups."""
    slice_confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """Probability that no slice is falsely reported as regressed, after Holm's correction over all slices. Higher
    misses more real regressions."""
    coverage_share: Share
    """Minimum catalogue coverage of the lists, as a share of the champion's."""
    max_staleness_days: Annotated[float, Field(ge=0)]
    """Maximum number of days by which the data may end before the champion's, since an erasure can remove the last
    events."""
    min_perturbation_overlap: Share
    """Minimum overlap of a user's top 10 before and after the oldest event is replaced by an item of another genre."""
    min_duplicate_agreement: Share
    """Minimum share of duplicated items whose copies are ranked alike: one in the top 10 and the other in the top
    20."""
    drift: Drift
    """How far tonight's data may differ from the last good snapshot."""
    logs: Logs
    """Estimates from logged slates, and read-outs of A/B experiments."""
    override: Override
    """A person's decision on one candidate."""


def _value(given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{given!r} names no outcomes. Write values by outcome, as {{like: 2, dislike: -4}}, or {{}}")
    return checked(given)


class Refit(Section):
    explore: Share
    """Share of the places of a list, 0 to 1, that a reader gives to items of which little is known, drawn when a
    request comes (Thompson sampling), with propensities; a request may name another one. It costs clicks now and finds
    good new items; Benchmarks, "Exploration", has figures. 0: none, and nothing to draw from in the version."""
    value: Annotated[dict[str, float], BeforeValidator(_value)]
    """What outcomes are worth in a list, such as `{like: 2, dislike: -4}`; lists are ranked by the sum of values times
    probabilities, see Models, "What a list is worth". An event that a list is meant to bring (`wanted`) is worth 1
    unless named. Higher values bring more of an outcome and cost others. Empty: lists are ranked by the ranker alone.
    Editorial rules can replace it at once."""
    coverage_share: Share
    """Minimum catalogue coverage of the final bundle, as a share of the candidate's."""
    latency_ms: Annotated[float, Field(gt=0)]
    """Maximum CPU time for one list of the final bundle, in milliseconds (the fastest of several runs)."""
    bundle_mb: Annotated[float, Field(gt=0)]
    """Maximum size of the final bundle in megabytes; every service downloads and stores it."""
    memory_mb: Annotated[float, Field(gt=0)]
    """Maximum memory of a process that opens and queries the final bundle, in megabytes."""


class Publish(Section):
    dry_run: bool
    """Do everything except uploading the version and moving the channel to it."""
    keep_versions: NonNegativeInt
    """Number of newest versions that `nightreel gc` keeps, and to which a rollback is possible. Each takes the space of
    the files that it doesn't share with others."""
    keep_days: NonNegativeFloat
    """Age in days below which `nightreel gc` keeps every version."""
    grace_hours: NonNegativeFloat
    """Hours for which `nightreel gc` keeps unfinished uploads, and versions that a channel has left (readers may still
    use them)."""


class Record(Section):
    experiment: str
    """Name of the MLflow experiment and of the registered model."""
