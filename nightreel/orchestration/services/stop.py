"""Stops a worker and the flow runs that it started."""

from __future__ import annotations

import contextlib
import signal
import subprocess

import psutil  # type: ignore[import-untyped,unused-ignore]


def end_runs(worker: subprocess.Popen[bytes]) -> None:
    """Stop a worker and its flow runs, which have sessions of their own; they report to the server first.

    worker: nothing is done if it has ended, since its process id may belong to another process by now.
    """
    if worker.poll() is not None:
        return
    family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
    _signal(family, signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=5.0)
    # Processes that were started in the meantime, or that ignored SIGTERM.
    for process in list(left):
        with contextlib.suppress(psutil.NoSuchProcess):
            left += process.children(recursive=True)
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=2.0)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
