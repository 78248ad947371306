"""Services that end by themselves are started again, but not for ever; a killed holder's lock is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

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
    service = Service("MLflow", start(), start)
    for _ in range(DEATHS):
        service.mend(said.append)
    assert len(said) == DEATHS and all("MLflow ended by itself" in line and "s.log" in line for line in said)
    with pytest.raises(UserError, match=r"MLflow: ended by itself 4 times in 10 minutes.*s\.log"):
        service.mend(said.append)
    with pytest.raises(UserError, match=r"Prefect: ended by itself\. Its log says why"):
        Service("Prefect", start()).mend(said.append)


def test_a_service_that_runs_is_left_alone(tmp_path: Path, stack: ExitStack) -> None:
    sleeping = stack.enter_context(Child(["sleep", "60"], cwd=tmp_path, env=os.environ, log=tmp_path / "s.log"))
    Service("MLflow", sleeping).mend(pytest.fail)


def test_the_children_of_a_killed_holder_are_waited_for(tmp_path: Path) -> None:
    """A guard keeps the lock for the moment that it needs to end what the holder had started."""
    code = (
        "import subprocess, sys; from pathlib import Path; from nightreel.orchestration.lock import exclusive\n"
        f"with exclusive(Path({str(tmp_path / 'x.lock')!r}), 'it') as lock:\n"
        "    subprocess.Popen(['sleep', '2'], pass_fds=(lock,)); print(flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert holder.stdout is not None and holder.stdout.readline()
    with pytest.raises(UserError, match="it is already going on"), exclusive(tmp_path / "x.lock", "it"):
        pass
    holder.kill()
    holder.communicate()
    with exclusive(tmp_path / "x.lock", "it"):
        pass


def test_a_run_of_an_earlier_up_leaves_although_a_new_one_holds_the_lock(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from nightreel.orchestration import parent_watch; import time\n"
        f"orphan.leave_with(Path({str(tmp_path)!r})); print(flush=True); time.sleep(60)"
    )

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", code], env=os.environ | parent_watch.mark(tmp_path), start_new_session=True,
            stdout=subprocess.PIPE, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    with exclusive(tmp_path / parent_watch.LOCK, "up"):
        first = begin()
        assert first.stdout is not None and first.stdout.readline()
        time.sleep(1.5)
        assert first.poll() is None
    with exclusive(tmp_path / parent_watch.LOCK, "up"):
        second = begin()
        assert second.stdout is not None and second.stdout.readline()
        assert first.wait(10) == -9 and second.poll() is None
    assert second.wait(10) == -9
