"""Runs that a dead process left behind, on a real Prefect server: ended if they were this state directory's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Completed, Pending, Running, Scheduled, State

from nightreel.orchestration.services import orphaned_runs, process_ledger


@flow(name="left behind")
def some_flow() -> None:
    """Never runs."""


SERVER = pytest.mark.end_to_end  # each asks a Prefect server, which takes seconds to start


@pytest.fixture
def client(prefect_api: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as opened:
        yield opened


def begun(client: SyncPrefectClient, state: State) -> FlowRun:
    run = client.create_flow_run(some_flow, state=Pending())
    client.set_flow_run_state(run.id, state, force=True)
    return run


def state_of(client: SyncPrefectClient, run: FlowRun) -> str:
    state = client.read_flow_run(run.id).state
    assert state is not None
    return state.name


def claimed_by_the_dead(folder: Path, run: UUID, *, sure: bool = True, worker: str = "ours") -> None:
    """As a worker leaves it that was killed."""
    code = f"from nightreel.orchestration.services import process_ledger; from pathlib import Path; process_ledger.claim(Path({str(folder)!r}), '{run}', worker={worker!r}, sure={sure})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@SERVER
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Running(), "Crashed"),
        (Pending(), "Crashed"),
        (Cancelling(), "Cancelled"),
        (Completed(), "Completed"),
        (Scheduled(), "Scheduled"),
    ],
    ids=["running", "pending", "cancelling", "completed", "scheduled"],
)
def test_a_run_whose_worker_is_gone_is_ended_and_told(
    client: SyncPrefectClient, tmp_path: Path, before: State, after: str
) -> None:
    run = begun(client, before)
    claimed_by_the_dead(tmp_path, run.id)
    told = orphaned_runs.end(tmp_path)
    assert state_of(client, run) == after
    assert [run.name in line and after in line for line in told] == ([True] if before.name != after else [])
    assert not process_ledger.entries(tmp_path) and orphaned_runs.end(tmp_path) == []


@SERVER
def test_runs_of_others_and_of_living_processes_are_left_alone(client: SyncPrefectClient, tmp_path: Path) -> None:
    others, living, doubtful = (begun(client, Running()) for _ in range(3))
    process_ledger.claim(tmp_path, str(living.id))
    client.update_flow_run_labels(doubtful.id, {"prefect.worker.name": "another"})
    claimed_by_the_dead(tmp_path, doubtful.id, sure=False)
    assert orphaned_runs.end(tmp_path) == []
    assert {state_of(client, run) for run in (others, living, doubtful)} == {"Running"}
    assert [entry.flow_run for entry in process_ledger.entries(tmp_path)] == [str(living.id)]


@SERVER
def test_what_is_left_of_its_processes_is_ended(client: SyncPrefectClient, tmp_path: Path) -> None:
    run = begun(client, Running())
    claimed_by_the_dead(tmp_path, run.id)
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '600']).pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as left:
        assert left.stdout is not None
        child = psutil.Process(int(left.stdout.readline()))
        process_ledger.note(tmp_path, str(run.id), process_ledger.FLOW, left.pid)
        assert len(orphaned_runs.end(tmp_path)) == 1
        gone = not (child.is_running() and child.status() != psutil.STATUS_ZOMBIE)
        assert gone and left.wait(10) is not None


def test_another_process_with_the_same_id_is_another(tmp_path: Path) -> None:
    mine = psutil.Process().create_time()
    host = process_ledger.platform.node()
    assert process_ledger.Process(host, os.getpid(), mine).running() is not None
    assert process_ledger.Process(host, os.getpid(), mine - 60).running() is None
    assert process_ledger.Process("elsewhere", os.getpid(), mine).running() is None


def test_an_entry_that_was_cut_off_is_over(tmp_path: Path) -> None:
    (tmp_path / process_ledger.FOLDER / "r" / "x").mkdir(parents=True)
    (tmp_path / process_ledger.FOLDER / "r" / "owner.json").write_text('{"pid": 1')
    (entry,) = process_ledger.entries(tmp_path)
    assert entry.over and not entry.sure
