"""prefect.yaml into a Prefect server, and the end of the runs that a worker leaves behind."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

import psutil  # type: ignore[import-untyped,unused-ignore]

from flows.project import Project
from tasks.stage import UserError

POOL = "nightreel"  # prefect.yaml's work pool


def make_pool() -> None:
    """The work pool, if the server has none yet."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))


def deploy(home: Project) -> str:
    """Deploy what prefect.yaml says, as `prefect deploy --all` does; returns `flow/deployment`."""
    told = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=home.root, env=home.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode:
        raise UserError(f"{home.root / 'prefect.yaml'}: can't be deployed:\n{told.stdout[-1500:]}{told.stderr[-1500:]}")
    return "nightly/nightly"


def end_runs(worker: int) -> None:
    """Stop a worker and its flow runs, which have sessions of their own; they tell the server before they go.

    worker: the worker's process id.
    """
    try:
        family = [psutil.Process(worker), *psutil.Process(worker).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    _signal(family, signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=5.0)
    # What was started in the meantime, or did not listen.
    for process in list(left):
        with contextlib.suppress(psutil.NoSuchProcess):
            left += process.children(recursive=True)
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=2.0)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
