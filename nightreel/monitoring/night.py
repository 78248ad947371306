"""A night: one run of the pipeline, with what came of it and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal[
    "running", "promoted", "refreshed", "unchanged", "held", "rejected", "dry run", "empty", "failed", "stopped"
]
"""promoted: a new version is live; refreshed: the live version's models, refitted on tonight's log, are live;
unchanged: what is live already is what this night made; held, rejected: the gate let nothing new through, and nothing
was refreshed; dry run: not published by request; empty: there was nothing to publish; failed: a stage failed; stopped:
ended from outside, by a person or by the machine."""
Trigger = Literal["schedule", "form", "terminal", "dvc repro", "replay"]
GOOD: tuple[Outcome, ...] = ("promoted", "refreshed", "unchanged", "dry run")
"""Outcomes that nobody needs to be told of."""


class StageTime(BaseModel):
    """How a stage ended, and how long it took. seconds: None where that is not known."""

    model_config = ConfigDict(frozen=True)

    stage: str
    how: str
    seconds: float | None = None


class Night(BaseModel):
    """One run of the pipeline.

    Attributes:
        id: Its name, which sorts by time.
        began: Epoch seconds, as `ended`; that is None while the night runs, or if nobody could write it.
        trigger: Who started it.
        outcome: What came of it.
        reason: The gate's sentence, or the error.
        label: The gate's label of the candidate, such as `better` or `drifted data`.
        failed_stage: The stage that failed.
        source: Name of the source.
        data_until: End of the data, epoch seconds; None without timestamps.
        version: Digest of the version that this night published or would have published.
        channel: Where to.
        metric: Name of the gate's metric, with its protocol.
        quality: The candidate's value of it, with its 95% interval.
        rows: Events read, and events set aside.
        stages: In order.
        flow_run: Id of the run in Prefect; None for `dvc repro`.
        recipe: Of the run; its report and its MLflow run are found by it.
        commit: Its commit on the branch nightreel/nights; None without git.
        fence: The run's hold on the run lock, see nightreel.store.fence.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    began: float
    ended: float | None = None
    trigger: Trigger
    outcome: Outcome = "running"
    reason: str = ""
    label: str = ""
    failed_stage: str | None = None
    source: str = ""
    data_until: float | None = None
    version: str | None = None
    channel: str = "live"
    metric: str = ""
    quality: tuple[float, float, float] | None = None
    rows: dict[str, int] = {}
    stages: tuple[StageTime, ...] = ()
    flow_run: str | None = None
    recipe: str | None = None
    fence: str | None = None
    commit: str | None = None

    @property
    def good(self) -> bool:
        """Whether the night ended as planned."""
        return self.outcome in GOOD

    @property
    def why(self) -> str:
        """The reason as one line, without the name of the failed stage, which its error begins with."""
        line = " ".join(self.reason.split())
        return line.removeprefix(f"{self.failed_stage}: ") if self.failed_stage else line

    @property
    def day(self) -> str:
        """When it began, in UTC, to the minute."""
        return minute(self.began)


def minute(moment: float) -> str:
    """A time in UTC, to the minute.

    Example:
        >>> minute(1_767_225_600.0)
        '2026-01-01 00:00'
    """
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
