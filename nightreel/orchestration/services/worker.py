"""python -m nightreel.orchestration.services.worker NAME: Prefect's process worker with a ledger of its runs.

`nightreel up` starts it. The ledger, in the state directory, says after a kill -9 which runs were this worker's: from
before the server assigns it a run (when the run's concurrency slot is taken) until the run has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Any
from uuid import UUID

from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.processutils import setup_signal_handlers_worker
from prefect.workers.base import BaseWorkerResult
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from nightreel.orchestration.prefect.work_pool import POOL
from nightreel.orchestration.services import process_ledger
from nightreel.stage import state_directory


class Worker(ProcessWorker):
    """Prefect's process worker with a ledger."""

    @classmethod
    def __dispatch_key__(cls) -> str:
        """A name of its own among Prefect's classes; the type, which must match the pool's, stays `process`."""
        return "nightreel-process"

    async def _propose_pending_state(self, flow_run: FlowRun) -> bool:
        state, run = state_directory(), str(flow_run.id)
        process_ledger.claim(state, run, worker=self.name, sure=False)
        ours = await super()._propose_pending_state(flow_run)
        if ours:
            process_ledger.claim(state, run, worker=self.name)
        else:
            process_ledger.forget(state, run)
        return ours

    async def _submit_run_and_capture_errors(
        self, flow_run: FlowRun, task_status: TaskStatus[int | Exception] | None = None
    ) -> BaseWorkerResult | Exception:
        result = await super()._submit_run_and_capture_errors(flow_run, task_status)
        await self._forget_if_ended(flow_run.id)
        return result

    async def run(
        self, flow_run: FlowRun, configuration: ProcessJobConfiguration, task_status: TaskStatus[int] | None = None
    ) -> ProcessWorkerResult:
        """Start the run's process and wait for its end."""
        return await super().run(flow_run, configuration, _Noting(str(flow_run.id), task_status))  # type: ignore[arg-type]

    async def _forget_if_ended(self, flow_run: UUID) -> None:
        """Remove a run that has ended from the ledger; others stay, and the next start of `up` ends them."""
        try:
            state = (await self.client.read_flow_run(flow_run)).state
        except Exception:  # whatever is wrong with the server, the entry must stay
            return
        if state is not None and (state.is_final() or state.is_scheduled()):
            process_ledger.forget(state_directory(), str(flow_run))


class _Noting:
    """Writes the process of a run to the ledger, and forwards the notification."""

    def __init__(self, flow_run: str, told: TaskStatus[int] | None) -> None:
        self.flow_run = flow_run
        self.told = told

    def started(self, pid: int) -> None:
        """Handle the start of the run's process."""
        process_ledger.note(state_directory(), self.flow_run, process_ledger.INFRASTRUCTURE, pid)
        if self.told is not None:
            self.told.started(pid)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.told, name)


def main(name: str) -> None:
    """Work until told to stop."""
    setup_signal_handlers_worker(os.getpid(), "the worker", print)
    with contextlib.suppress(KeyboardInterrupt):  # Prefect turns each signal into this
        asyncio.run(Worker(name=name, work_pool_name=POOL).start())


if __name__ == "__main__":
    main(sys.argv[1])
