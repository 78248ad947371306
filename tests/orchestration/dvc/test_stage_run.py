"""One stage through DVC: outcome, messages, and the same lock as a plain `dvc repro`."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from nightreel.orchestration.dvc import pipeline
from nightreel.orchestration.dvc.killed import explain, signal_of
from nightreel.orchestration.dvc.stage_run import StageEnvironment, StageFailed, reproduce, run_directly, unchanged
from nightreel.orchestration.project import Project
from tests.orchestration.test_child_process import gone
from tests.support import toy as project


def place(root: Path, **more: str) -> StageEnvironment:
    return StageEnvironment(root, Project(root, root / ".nightreel").environment(more))


@pytest.mark.end_to_end
def test_outcomes_and_lock(toy: Path, tmp_path: Path) -> None:
    other = shutil.copytree(toy, tmp_path / "other", symlinks=True)
    said: list[str] = []
    names = [stage.name for stage in pipeline.read(toy)]
    assert [reproduce(name, place(toy), said.append).how for name in names] == ["ran"] * 5
    assert said == [f"{name} begins" for name in names]  # DVC's own chatter is left out
    project.call(other, "python", "-m", "dvc", "repro")
    assert (toy / "dvc.lock").read_bytes() == (other / "dvc.lock").read_bytes()

    before = (toy / "dvc.lock").read_bytes()
    assert unchanged(place(toy), ["learn", "score"]) == {"learn", "score"}
    assert [reproduce(name, place(toy), said.append).how for name in names] == [
        "ran", "unchanged", "unchanged", "ran", "ran",
    ]  # fmt: skip
    assert reproduce("learn", place(toy), said.append, force=True).how == "ran"
    assert (toy / "dvc.lock").read_bytes() == before

    (toy / "source.txt").write_text("three\n")
    reproduce("fetch", place(toy), said.append)
    assert unchanged(place(toy), ["learn", "score"]) == {"score"}
    assert reproduce("learn", place(toy), said.append).how == "ran"
    project.call(toy, "git", "checkout", "source.txt")
    reproduce("fetch", place(toy), said.append)
    assert reproduce("learn", place(toy), said.append).how == "cached"


def test_a_stages_own_message_is_the_error(toy: Path) -> None:
    with pytest.raises(StageFailed) as caught:
        reproduce("fetch", place(toy, TOY_FAULT="fetch"), lambda line: None)
    assert str(caught.value) == "fetch: source.txt: line 3 is empty.\nRemove the line and run again."
    assert (caught.value.code, caught.value.temporary) == (1, False)


def test_a_bug_shows_its_last_lines(toy: Path) -> None:
    with pytest.raises(StageFailed, match="ZeroDivisionError: a bug") as caught:
        reproduce("fetch", place(toy, TOY_CRASH="fetch"), lambda line: None)
    assert caught.value.code == 1 and "fetch: ended with exit code 1" in str(caught.value)


def test_a_temporary_fault_says_so(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="the server did not answer") as caught:
        reproduce("fetch", place(toy, TOY_FLAKY=f"fetch:{tmp_path / 'marks'}"), lambda line: None)
    assert caught.value.temporary


@pytest.mark.end_to_end
def test_an_interrupt_ends_the_stage_and_leaves_the_lock_alone(toy: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def interrupt() -> None:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), 2)

    # A process that a shell starts in the background ignores SIGINT; Ctrl-C is what is tested here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        reproduce("fetch", place(toy, TOY_SLOW="fetch", TOY_PID=str(pid)), lambda line: None)
    assert gone(int(pid.read_text())) and not (toy / "dvc.lock").exists()
    thread.join()
    signal.signal(signal.SIGINT, before)
    assert reproduce("fetch", place(toy), lambda line: None).how == "ran"


def test_a_command_outside_dvc(toy: Path) -> None:
    (toy / ".nightreel").mkdir()
    said: list[str] = []
    assert run_directly("python toy/note.py --failed learn --reason 'no space'", place(toy), said.append) == 0
    assert said == ["noted that learn failed"]


@pytest.mark.end_to_end
def test_a_killed_stage_says_so_with_its_memory(toy: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def kill() -> None:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.02)
        time.sleep(1)  # long enough to be measured
        os.kill(int(pid.read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(StageFailed) as caught:
        reproduce("learn", fetched(toy, TOY_SLOW="learn", TOY_PID=str(pid)), lambda line: None)
    thread.join()
    said = str(caught.value)
    assert said.startswith(
        "learn: killed by signal 9 (SIGKILL), as the system does when memory runs out. The stage held "
    )
    assert 10 < float(said.split("held ")[1].split(" MB")[0].replace(",", "")) < 2_000 and not caught.value.temporary
    assert "Free memory" in said and "are free now" in said


def fetched(toy: Path, **more: str) -> StageEnvironment:
    reproduce("fetch", place(toy), lambda line: None)
    return place(toy, **more)


def test_each_kind_of_end_has_its_words() -> None:
    assert "fewer `finetune.members`" in explain("finetune", signal.SIGKILL, 3_000_000_000)
    assert "3,000 MB at most" in explain("finetune", signal.SIGKILL, 3_000_000_000)
    assert "cut short, or the disk is full" in explain("refit", signal.SIGBUS, 0)
    assert "a native library failed" in explain("refit", signal.SIGSEGV, 0)
    assert [signal_of(code) for code in (0, 1, 75, 255, -15, 143)] == [None] * 4 + [signal.SIGTERM] * 2
