"""Runs whose worker or terminal is gone: their processes are ended, and the server is told.

Otherwise such a run is RUNNING, PENDING or CANCELLING for ever, and holds its deployment's only slot: no night follows.
Only what the ledger of this state directory names is touched; a server may be shared with others.
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

GONE = "Its process is gone: nightreel up, its worker or the machine was stopped. Finished stages are kept."


def end(state: Path) -> list[str]:
    """End every run of the ledger that nobody answers for any more.

    Args:
        state: The state directory.

    Returns:
        A line for each run that was ended, for the terminal.
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
                told.append(f"run {entry.flow_run} can't be ended now: {error}. The next start of `up` tries again")
                continue
            process_ledger.forget(state, entry.flow_run)
            told += [line] if line else []
    return told


def free_slots(deployment: str) -> list[str]:
    """Give back slots of a deployment that no run holds: a server that dies between two writes leaves them taken.

    Args:
        deployment: `flow/name`.

    Returns:
        A line for each run, unknown to this state directory, that holds a slot.
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
            f"run {run.name} is {run.state_name} and holds a slot of {deployment}, and was not started here: if its "
            "process is gone, set its state in Prefect's page"
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
    return f"ended run {run.name}, which was {run.state.name} but whose process is gone: {final.name}"


def _ours(run: FlowRun, entry: Entry) -> bool:
    """A run that was asked for, but maybe given to another worker, bears the name of who has it."""
    return entry.sure or run.labels.get("prefect.worker.name", entry.worker) == entry.worker


def _final(state: State) -> State:
    """What a person cancelled is cancelled; all else crashed."""
    from prefect.states import Cancelled, Crashed

    return Cancelled(message=GONE) if state.is_cancelling() else Crashed(message=GONE)


def _unfinished(client: SyncPrefectClient, run: FlowRun) -> Iterator[UUID]:
    """Stages that were under way."""
    from prefect.client.schemas.filters import FlowRunFilter

    mine = FlowRunFilter.model_validate({"id": {"any_": [str(run.id)]}})
    for task in client.read_task_runs(flow_run_filter=mine):
        if task.state is not None and not task.state.is_final():
            yield task.id


def _kill(entry: Entry) -> None:
    """What is left of a run's processes; each stage goes with them, since its guard sees their end."""
    found = {role: process.running() for role, process in entry.processes.items() if role != process_ledger.OWNER}
    family: set[psutil.Process] = set()
    for process in filter(None, found.values()):
        with contextlib.suppress(psutil.Error):
            family |= {process, *process.children(recursive=True)}
    for process in family:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(list(family), timeout=5.0)
