"""Asks Prefect's server when the next night is planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from nightreel.orchestration.prefect.deployment import NAME

if TYPE_CHECKING:
    from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
    from prefect.client.schemas.objects import FlowRun


@dataclass(frozen=True)
class Planned:
    """coming: the next planned night, epoch seconds, None if none is planned; paused: whether its schedule is off."""

    coming: float | None
    paused: bool


def planned(timeout_s: float = 10.0) -> Planned | None:
    """Ask the server at PREFECT_API_URL; None if it does not answer or has no such deployment."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    try:
        with get_client(sync_client=True, httpx_settings={"timeout": timeout_s}) as client:
            found = client.read_deployment_by_name(NAME)
            paused = found.paused or not any(each.active for each in found.schedules)
            runs = client.read_flow_runs(
                flow_run_filter=_scheduled(),
                deployment_filter=_of(str(found.id)),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=1,
            )
    except (ObjectNotFound, PrefectHTTPStatusError, httpx.HTTPError, OSError):
        return None
    return Planned(_moment(runs[0]) if runs else None, paused)


def _scheduled() -> FlowRunFilter:
    from prefect.client.schemas.filters import FlowRunFilter

    return FlowRunFilter.model_validate({"state": {"type": {"any_": ["SCHEDULED"]}}})


def _of(deployment: str) -> DeploymentFilter:
    from prefect.client.schemas.filters import DeploymentFilter

    return DeploymentFilter.model_validate({"id": {"any_": [deployment]}})


def _moment(run: FlowRun) -> float | None:
    planned_for = run.expected_start_time
    return None if planned_for is None else float(planned_for.timestamp())
