"""The sections `evaluate`, `refit`, `publish` and `record` of params.yaml: what a version has to pass."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from nightreel.settings.drift import Drift
from nightreel.settings.logs import Logs
from nightreel.settings.section import Section, Share


class Override(Section):
    """A person's word over the rules, for one candidate. It can't lift a rollback's block nor a failed hard check."""

    candidate: Annotated[str, Field(pattern=r"^([0-9a-f]{8,64})?$")]
    """First characters (8 or more) of the candidate's digest, as the verdict shows it; empty: no override."""
    decision: Literal["promote", "hold"]
    """What is to be done instead."""
    by: str
    """Who decides; needed."""
    reason: str
    """Why; needed: it stands in the verdict, in MLflow and beside the published version."""


class Evaluate(Section):
    cutoffs: Annotated[tuple[int, ...], Field(min_length=1)]
    """List lengths k at which metrics are given."""
    margin: Annotated[float, Field(gt=0, lt=1)]
    """Non-inferiority margin: the relative loss of NDCG@10 that is tolerated."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """One-sided confidence of the verdict's bound; intervals shown are two-sided 95%."""
    bootstrap_replicates: Annotated[int, Field(ge=100, le=100_000)]
    """Bootstrap replicates over users."""
    cold_users: Annotated[int, Field(ge=1)]
    """Most users who are asked again as newcomers; each is asked eight times."""
    slices: tuple[Annotated[str, Field(pattern=r"^(items|events)\.[A-Za-z]\w*$")], ...]
    """Columns that tell users apart, beside activity, popularity and age: `items.language`, `events.device`, and any
    other that the source has (`items.studio`; a user's own attribute as a column of events). One beyond the contract is
    kept in the data as it is: name none that tells who somebody is."""
    slice_users: Annotated[int, Field(ge=10)]
    """Least users of a slice that is tested and compared; fewer tell nothing, more misses small groups."""
    slice_confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """Confidence that no sound slice is called broken, after Holm's correction for all of them."""
    coverage_share: Share
    """Least coverage of the lists, as a share of the champion's."""
    max_staleness_days: Annotated[float, Field(ge=0)]
    """Most days by which the data may end before the champion's did; an erasure can take the last events."""
    min_perturbation_overlap: Share
    """Least overlap of a user's first ten with those after one irrelevant event."""
    min_duplicate_agreement: Share
    """Least share of doubled items that is ranked alike: one copy in a list's first ten, the other in its first 20."""
    drift: Drift
    """How far tonight's data may be from the last good ones."""
    logs: Logs
    """What is read from logged slates and from experiments."""
    override: Override
    """A person's decision on one candidate."""


class Refit(Section):
    coverage_share: Share
    """Least catalogue coverage of the final bundle, as a share of the candidate's, with new weights."""
    latency_ms: Annotated[float, Field(gt=0)]
    """Most milliseconds of processor time that one list of the final bundle may take (the fastest of several)."""
    bundle_mb: Annotated[float, Field(gt=0)]
    """Most megabytes of the final bundle: what every service fetches and stores."""
    memory_mb: Annotated[float, Field(gt=0)]
    """Most megabytes of memory of a process that opens the final bundle and answers."""


class Publish(Section):
    dry_run: bool
    """Do everything but upload and move the channel."""
    keep_versions: NonNegativeInt
    """`nightreel gc` keeps the newest this many versions: what a rollback can name. Each costs its new bytes."""
    keep_days: NonNegativeFloat
    """`nightreel gc` keeps versions younger than this."""
    grace_hours: NonNegativeFloat
    """`nightreel gc` keeps, for this long, what a channel has left (readers may be on it) and unfinished uploads."""


class Record(Section):
    experiment: str
    """MLflow experiment and registered model name."""
