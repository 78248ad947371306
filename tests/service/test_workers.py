"""Workers: one that dies is told and replaced, a slow one is left alone, and none outlives its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nightreel.service import workers as service_workers
from nightreel.service.workers import SILENT_S, Workers, end_with_parent, ending


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Worker:
    """One that runs, as the supervisor sees it."""

    def __init__(self, parent_conn: Any) -> None:
        self.process, self.parent_conn = multiprocessing.current_process(), parent_conn


def test_a_worker_that_says_nothing_for_a_while_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(service_workers, "time", SimpleNamespace(monotonic=lambda: now[0]))
    own, other = multiprocessing.Pipe()
    worker = cast(Any, Worker(own))
    workers = Workers.__new__(Workers)
    workers._asked = {}
    assert workers._is_alive(worker) and other.recv() == b"ping"
    now[0] += SILENT_S - 1
    assert workers._is_alive(worker), "uvicorn itself would have killed it long ago"
    other.send(True)
    now[0] += 2
    assert workers._is_alive(worker) and other.recv() == b"ping"
    now[0] += SILENT_S + 1
    assert not workers._is_alive(worker)


def parent(told: Any) -> None:
    child = multiprocessing.get_context("spawn").Process(target=orphan, args=(told,))
    child.start()
    time.sleep(600)


def orphan(told: Any) -> None:
    end_with_parent()
    told.send(os.getpid())
    time.sleep(600)


@pytest.mark.end_to_end
def test_a_worker_ends_when_its_parent_was_killed() -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=parent, args=(there,))
    process.start()
    assert here.poll(120)
    pid = here.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(pid)


def test_how_it_ended_is_told() -> None:
    assert ending(-9).startswith("was killed (signal 9)") and ending(-11) == "was ended by signal 11"
