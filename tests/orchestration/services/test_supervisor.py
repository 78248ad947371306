"""Services that end by themselves are started again, but not for ever; a killed holder's lock is waited for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.speed.free_ports import free_ports
from nightreel.errors import UserError
from nightreel.orchestration import parent_watch
from nightreel.orchestration.child_process import Child
from nightreel.orchestration.lock import exclusive
from nightreel.orchestration.services.supervisor import DEATHS, Service


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_a_service_is_started_again_but_not_for_ever(tmp_path: Path, stack: ExitStack) -> None:
    def start() -> Child:
        command = [sys.executable, "-c", "raise SystemExit(3)"]
        made = stack.enter_context(Child(command, cwd=tmp_path, env=os.environ, log=tmp_path / "s.log"))
        made.process.wait()
        return made

    said: list[str] = []
    service = Service("worker", start(), start)
    for _ in range(DEATHS):
        service.restart_if_ended(said.append)
    assert len(said) == DEATHS and all("worker ended by itself" in line and "s.log" in line for line in said)
    with pytest.raises(UserError, match=r"worker: ended by itself 4 times in 10 minutes.*s\.log"):
        service.restart_if_ended(said.append)
    with pytest.raises(UserError, match=r"Prefect: ended by itself\. See its log"):
        Service("Prefect", start()).restart_if_ended(said.append)


def test_an_optional_service_that_always_ends_is_given_up_once(tmp_path: Path, stack: ExitStack) -> None:
    def start() -> Child:
        made = stack.enter_context(Child(["false"], cwd=tmp_path, env=os.environ, log=tmp_path / "s.log"))
        made.process.wait()
        return made

    said: list[str] = []
    service = Service("MLflow", start(), start, optional=True)
    for _ in range(DEATHS + 5):
        service.restart_if_ended(said.append)
    assert len(said) == DEATHS + 1 and "It stays off until" in said[-1] and "runs continue without it" in said[-1]


@pytest.mark.end_to_end
def test_a_killed_service_leaves_no_child_that_holds_its_port(tmp_path: Path, stack: ExitStack) -> None:
    """As MLflow does: a process whose child listens."""
    port = free_ports(1)
    listen = (
        f"import socket, time; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1', {port})); s.listen(); "
        "time.sleep(60)"
    )
    parent = f"import subprocess, sys; raise SystemExit(subprocess.run([sys.executable, '-c', {listen!r}]).returncode)"

    def start() -> Child:
        made = Child([sys.executable, "-c", parent], cwd=tmp_path, env=os.environ, log=tmp_path / "s.log")
        return stack.enter_context(made)

    service = Service("MLflow", start(), start, optional=True)
    for _ in range(2):
        _until_it_listens(port)
        assert isinstance(service.now, Child)
        service.now.process.kill()
        service.now.process.wait()
        service.restart_if_ended(lambda line: None)
    _until_it_listens(port)
    assert not service.now.ended() and "Address already in use" not in (tmp_path / "s.log").read_text()


def _until_it_listens(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


def test_a_service_that_runs_is_left_alone(tmp_path: Path, stack: ExitStack) -> None:
    sleeping = stack.enter_context(Child(["sleep", "60"], cwd=tmp_path, env=os.environ, log=tmp_path / "s.log"))
    Service("MLflow", sleeping).restart_if_ended(pytest.fail)


def test_the_children_of_a_killed_holder_are_waited_for(tmp_path: Path) -> None:
    """A guard keeps the lock for the moment that it needs to end what the holder had started."""
    code = (
        "import subprocess, sys; from pathlib import Path; from nightreel.orchestration.lock import exclusive\n"
        f"with exclusive(Path({str(tmp_path / 'x.lock')!r}), 'it') as lock:\n"
        "    subprocess.Popen(['sleep', '1'], pass_fds=(lock,)); print(flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert holder.stdout is not None and holder.stdout.readline()
    with pytest.raises(UserError, match="it is already in progress"), exclusive(tmp_path / "x.lock", "it"):
        pass
    holder.kill()
    holder.communicate()
    with exclusive(tmp_path / "x.lock", "it"):
        pass


def test_a_run_of_an_earlier_up_leaves_although_a_new_one_holds_the_lock(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from nightreel.orchestration import parent_watch; import time\n"
        "parent_watch.EVERY_S = 0.1\n"
        f"parent_watch.leave_with(Path({str(tmp_path)!r})); print(flush=True); time.sleep(60)"
    )

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | parent_watch.mark(tmp_path), start_new_session=True,
            stdout=subprocess.PIPE, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    with exclusive(tmp_path / parent_watch.LOCK, "up"):
        first = begin()
        assert first.stdout is not None and first.stdout.readline()
        time.sleep(0.4)
        assert first.poll() is None
    with exclusive(tmp_path / parent_watch.LOCK, "up"):
        second = begin()
        assert second.stdout is not None and second.stdout.readline()
        assert first.wait(10) == -9 and second.poll() is None
    assert second.wait(10) == -9
