"""A stage's process really gets SIGKILL, and a store is really away and comes back."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nightreel.errors import UserError
from nightreel.orchestration.dvc.pipeline import Stage
from nightreel.replay.troubles.interference import restore, stages_killed, store_away
from nightreel.replay.troubles.kinds import KilledStage
from nightreel.store import channels
from nightreel.store.open import open_store


def stage(name: str) -> Stage:
    return Stage(name, f"python -m json.{name}", (), (), (), (), outside=False)


def test_the_process_of_the_stage_alone_is_killed() -> None:
    """`json.tool` stands for a stage: it waits for its input."""
    kill = KilledStage(kind="killed stage", stage="tool", after_s=0.1)
    with stages_killed([stage("tool"), stage("other")], [kill]) as (killer,):
        command = f"{sys.executable} -m json.tool; exit $?"
        shell = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        killer.begins("other")
        with pytest.raises(subprocess.TimeoutExpired):
            shell.wait(0.5)
        killer.begins("tool")
        assert shell.wait(20) == 128 + signal.SIGKILL
        assert shell.stdin is not None
        shell.stdin.close()


def test_a_stage_that_never_begins_holds_nobody_up() -> None:
    with stages_killed([stage("tool")], [KilledStage(kind="killed stage", stage="tool")]) as (killer,):
        killer.begins("tool")


def test_a_store_that_is_away_is_an_error_and_comes_back(tmp_path: Path) -> None:
    store = tmp_path / "store"
    open_store(str(store)).put("channels/x.json", b"{}")
    with store_away(store, away=True), pytest.raises(UserError, match="store"):
        channels.live(open_store(str(store)))
    assert open_store(str(store)).get("channels/x.json") == b"{}"
    with store_away(store, away=False):
        assert store.is_dir()
    with store_away(store, away=True):
        restore(store)  # as a replay does that was killed meanwhile
        assert store.is_dir()
