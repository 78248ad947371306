"""Ends runs whose worker or terminal is gone: kills their processes and closes the runs on the server.

Otherwise such a run would stay RUNNING, PENDING or CANCELLING and occupy its deployment's only slot, so that no later
run could start. Only runs in this state directory's ledger are touched, since a server may be shared.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel.orchestration.services import process_ledger
from nightreel.orchestration.services.process_ledger import Entry

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State

GONE = "Its process is gone: `nightreel up`, its worker or the machine was stopped. Finished stages are kept."


def end(state: Path) -> list[str]:
    """End every run of the ledger whose owner has ended.

    Args:
        state: The state directory.

    Returns:
        A line for the terminal for each run that was ended.
    """
    over = [entry for entry in process_ledger.entries(state) if entry.over]
    if not over:
        return []
    from prefect.client.orchestration import get_client

    told = []
    for entry in over:
        _kill(entry)
    with get_client(sync_client=True) as client:
        for entry in over:
            try:
                line = _end(client, entry)
            except httpx.HTTPError as error:
                told.append(f"run {entry.flow_run} can't be closed now: {error}. The next `nightreel up` tries again")
                continue
            process_ledger.forget(state, entry.flow_run)
            told += [line] if line else []
    return told


def free_slots(deployment: str) -> list[str]:
    """Release a deployment's slots that no run holds, which a server leaves behind if it dies between two writes.

    Args:
        deployment: `flow/name`.

    Returns:
        A line for each run that holds a slot and is unknown to this state directory.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
    from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter

    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
        limit = found.global_concurrency_limit
        if limit is None or not limit.active_slots:
            return []
        holders = client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(
                {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
            ),
            deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [str(found.id)]}}),
        )
        if limit.active_slots > len(holders):
            slots = GlobalConcurrencyLimitUpdate(active_slots=len(holders))
            client.update_global_concurrency_limit(limit.name, slots)
        return [
            f"run {run.name} is {run.state_name}, holds a slot of {deployment} and was not started here. If its "
            "process is gone, change its state in Prefect's UI"
            for run in holders
        ]


def _end(client: SyncPrefectClient, entry: Entry) -> str | None:
    from prefect.exceptions import ObjectNotFound

    try:
        run = client.read_flow_run(UUID(entry.flow_run))
    except (ObjectNotFound, ValueError):
        return None
    if run.state is None or run.state.is_final() or run.state.is_scheduled() or not _ours(run, entry):
        return None
    final = _final(run.state)
    client.set_flow_run_state(run.id, final, force=True)
    for task in _unfinished(client, run):
        client.set_task_run_state(task, final, force=True)
    return f"run {run.name} was {run.state.name}, but its process is gone: set to {final.name}"


def _ours(run: FlowRun, entry: Entry) -> bool:
    """Whether the run is this entry's: a run that the server may have given to another worker has that one's name."""
    return entry.sure or run.labels.get("prefect.worker.name", entry.worker) == entry.worker


def _final(state: State) -> State:
    """The run's final state: cancelled if a person cancelled it, else crashed."""
    from prefect.states import Cancelled, Crashed

    return Cancelled(message=GONE) if state.is_cancelling() else Crashed(message=GONE)


def _unfinished(client: SyncPrefectClient, run: FlowRun) -> Iterator[UUID]:
    """The run's stages that had not ended."""
    from prefect.client.schemas.filters import FlowRunFilter

    mine = FlowRunFilter.model_validate({"id": {"any_": [str(run.id)]}})
    for task in client.read_task_runs(flow_run_filter=mine):
        if task.state is not None and not task.state.is_final():
            yield task.id


def _kill(entry: Entry) -> None:
    """Kill the remaining processes of a run; its stages end with them, since their guards notice."""
    found = {role: process.running() for role, process in entry.processes.items() if role != process_ledger.OWNER}
    family: set[psutil.Process] = set()
    for process in filter(None, found.values()):
        with contextlib.suppress(psutil.Error):
            family |= {process, *process.children(recursive=True)}
    for process in family:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(list(family), timeout=5.0)
