"""After a kill -9 in the middle of what DVC writes, the next run goes on."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from nightreel.orchestration.dvc import recovery
from nightreel.orchestration.dvc.stage_run import StageEnvironment, reproduce
from nightreel.orchestration.project import Project
from tests.support import toy as project

pytestmark = pytest.mark.end_to_end


def place(root: Path) -> StageEnvironment:
    return StageEnvironment(root, Project(root, root / ".nightreel").environment())


def test_a_lock_that_was_cut_off_becomes_what_it_was(toy: Path) -> None:
    project.call(toy, "python", "-m", "dvc", "repro")
    lock = toy / "dvc.lock"
    before = lock.read_bytes()
    for size in (0, 1, len(before) // 3, len(before) // 2 + 3, len(before) - 4):
        recovery.begin(toy)
        lock.write_bytes(before[:size])  # here the process is killed
        recovery.heal(toy)
        assert recovery.whole(lock)
        if lock.read_bytes() != before:  # cut where it is still a lock: DVC runs the missing stages again
            assert before.startswith(lock.read_bytes())
            lock.write_bytes(before)
    recovery.begin(toy)
    lock.write_bytes(before[: len(before) // 2 + 3])
    assert reproduce("learn", place(toy), lambda line: None).how in ("unchanged", "cached")
    assert not (toy / ".dvc" / "tmp" / "dvc.lock.before").exists()


def test_where_there_was_none_there_is_none(toy: Path) -> None:
    recovery.begin(toy)
    (toy / "dvc.lock").write_text("schema: '2.0'\nstages:\n  fetch:\n    cm")
    recovery.heal(toy)
    assert not (toy / "dvc.lock").exists()


def test_the_dead_block_nobody_and_the_living_still_do(toy: Path) -> None:
    zombie = subprocess.Popen(["true"])  # nobody waits for it until the end
    while Path(f"/proc/{zombie.pid}/stat").exists() and " Z " not in Path(f"/proc/{zombie.pid}/stat").read_text():
        pass
    busy = toy / ".dvc" / "tmp" / "rwlock"
    recovery.begin(toy)
    dead, living = {"pid": zombie.pid, "cmd": "dvc"}, {"pid": os.getpid(), "cmd": "dvc"}
    busy.write_text(json.dumps({"write": {"/a": dead, "/b": living}, "read": {"/a": [dead], "/b": [dead, living]}}))
    recovery.heal(toy)
    assert json.loads(busy.read_text()) == {"write": {"/b": living}, "read": {"/b": [living]}}
    zombie.wait()
    recovery.begin(toy)
    busy.write_text('{"write": {"/a')
    recovery.heal(toy)
    assert not busy.exists()
    assert reproduce("fetch", place(toy), lambda line: None).how == "ran"


def test_nothing_is_touched_where_nobody_was_killed(toy: Path) -> None:
    (toy / "dvc.lock").write_text("not a lock, but not ours to mend")
    recovery.heal(toy)
    assert (toy / "dvc.lock").read_text() == "not a lock, but not ours to mend"
