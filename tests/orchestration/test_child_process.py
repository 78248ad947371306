"""Child processes go whole, and with us."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nightreel.errors import UserError
from nightreel.orchestration.child_process import Child
from nightreel.orchestration.lock import exclusive
from nightreel.store.fence import held

# A shell that starts a sleeper of its own and says its pid.
FAMILY = ["sh", "-c", "sleep 60 & echo $!; wait"]


def gone(pid: int, within: float = 5.0) -> bool:
    """Whether a process is gone (or a zombie that its parent has not reaped) in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_its_output_comes_line_by_line_and_its_code_after(tmp_path: Path) -> None:
    with Child(["sh", "-c", "echo one; echo two >&2; exit 3"], cwd=tmp_path, env=os.environ) as child:
        assert sorted(child.lines()) == ["one", "two"]
        assert child.process.wait() == 3


@pytest.mark.end_to_end
def test_stop_ends_the_whole_group_even_where_it_ignores_the_request(tmp_path: Path) -> None:
    stubborn = ["sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait"]
    for command in (FAMILY, stubborn):
        child = Child(command, cwd=tmp_path, env=os.environ)
        grandchild = int(next(child.lines()))
        began = time.monotonic()
        child.stop(grace=0.5)
        assert gone(grandchild) and time.monotonic() - began < 3
        assert child.stop() is not None  # twice does no harm


def test_an_exception_in_the_block_ends_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Child(FAMILY, cwd=tmp_path, env=os.environ) as child:
        grandchild = int(next(child.lines()))
        raise KeyboardInterrupt
    assert gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process can ask for the orphans below it")
def test_who_has_ended_and_was_not_fetched_does_not_count_as_running(tmp_path: Path) -> None:
    """As in a container whose first process fetches no orphans: here, this process gets them, and leaves them."""
    adopt = functools.partial(ctypes.CDLL(None).prctl, 36)  # PR_SET_CHILD_SUBREAPER
    assert adopt(1, 0, 0, 0) == 0
    try:
        with Child(FAMILY, cwd=tmp_path, env=os.environ) as child:
            grandchild = int(next(child.lines()))
            assert child.alive()
            child.signal(signal.SIGKILL)
            child.process.wait()
            assert gone(grandchild) and psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE
            assert not child.alive()
    finally:
        adopt(0, 0, 0, 0)
        os.waitpid(grandchild, 0)


def test_when_we_are_killed_it_goes_too_and_only_then_is_the_lock_free(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"""
import os, sys
from pathlib import Path
from nightreel.orchestration.child_process import Child
from nightreel.orchestration.lock import exclusive
with exclusive(Path({str(lock)!r}), "a run") as held:
    child = Child({FAMILY!r}, cwd=Path("."), env=os.environ, hold=held)
    for line in child.lines():
        print(line, flush=True)
"""],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    assert held(lock)
    with (
        pytest.raises(UserError, match=f"a run is already in progress .process {parent.pid}"),
        exclusive(lock, "a run"),
    ):
        pass
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    with exclusive(lock, "a run", patience=5.0):
        assert gone(grandchild, within=0.5)


def test_a_free_lock_is_not_held_and_waiting_is_said_once(tmp_path: Path) -> None:
    lock, said = tmp_path / "locks" / "run.lock", list[str]()
    assert not held(lock)
    with exclusive(lock, "a run"):
        assert held(lock)
        with pytest.raises(UserError), exclusive(lock, "a run", patience=0.3, waiting=said.append):
            pass
    assert not held(lock) and len(said) == 1 and "Waiting" in said[0]


def test_its_guard_holds_no_secret_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    with Child(["sleep", "60"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}):
        children = psutil.Process().children()
        assert len(children) >= 2
        assert not [child.cmdline() for child in children if "a secret" in child.environ().values()]
