"""Nights that go wrong are told: a stage that fails, one that is stuck, a schedule that does not fire."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nightreel.monitoring import expected, notifications
from tests.support import toy as project
from tests.support.webhook import Webhook

pytestmark = pytest.mark.end_to_end
PUBLISHED = json.dumps({"decision": "promote", "published": True, "label": "better", "digest": "a" * 64})
COMMAND = [sys.executable, "-c", "from nightreel.cli.main import main; main()"]


def nights(toy: Path) -> list[dict[str, Any]]:
    return list(json.loads(project.nightreel(toy, "nights", "--json").stdout))


def test_a_failed_night_is_told_and_the_next_good_one_too(toy: Path, webhook: Webhook) -> None:
    told = {notifications.VARIABLE: webhook.address}
    assert project.nightreel(toy, "run", TOY_FAULT="learn", **told).returncode == 1
    (night,) = nights(toy)
    assert (night["outcome"], night["failed_stage"], night["trigger"]) == ("failed", "learn", "terminal")
    assert "line 3 is empty" in night["reason"]
    assert webhook.titles == ["Nightreel: a night went wrong"] and "line 3 is empty" in webhook.got[0]["message"]
    status = project.nightreel(toy, "status")
    assert status.returncode == 1 and "failed at learn" in status.stdout and "nightreel run" in status.stdout
    assert project.nightreel(toy, "run", TOY_RECEIPT=PUBLISHED, **told).returncode == 0
    assert webhook.titles[1:] == ["Nightreel: all right again"]
    assert [night["outcome"] for night in nights(toy)] == ["promoted", "failed"]
    assert project.nightreel(toy, "status").returncode == 0


def test_a_stuck_stage_is_told_while_it_is_stuck(toy: Path, webhook: Webhook, tmp_path: Path) -> None:
    params = toy / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("late_minutes: 15", "late_minutes: 0.2"), "utf-8")
    slow = {
        "TOY_SLOW": "learn",
        "TOY_SECONDS": "600",
        "TOY_PID": str(tmp_path / "pid"),
        notifications.VARIABLE: webhook.address,
    }
    environment = project.environment() | slow
    with subprocess.Popen([*COMMAND, "run"], cwd=toy, env=environment, stdout=subprocess.DEVNULL) as night:
        wait_for(lambda: (tmp_path / "pid").exists(), 120)
        with subprocess.Popen([*COMMAND, "watch", "--every", "1"], cwd=toy, env=environment) as watch:
            wait_for(lambda: "Nightreel: a night is stuck" in webhook.titles, 200)
            watch.terminate()
        night.send_signal(signal.SIGINT)
    assert nights(toy)[0]["outcome"] == "stopped"


def test_a_night_that_does_not_begin_is_told_though_no_server_runs(toy: Path, webhook: Webhook) -> None:
    state, now = toy / ".nightreel", time.time()
    project.nightreel(toy, "why")  # makes the state directory
    expected.remember(state, now - 16 * 60, paused=False, nights=[], now=now - 3600)
    told = {notifications.VARIABLE: webhook.address}
    for _ in range(2):
        watch = project.nightreel(toy, "watch", "--once", **told)
        assert watch.returncode == 1 and "has not begun" in watch.stdout
    assert webhook.titles == ["Nightreel: a night is missing"]
    assert project.nightreel(toy, "run", TOY_RECEIPT=PUBLISHED, **told).returncode == 0
    assert project.nightreel(toy, "watch", "--once", **told).returncode == 0
    assert webhook.titles[1:] == ["Nightreel: all right again"]


def wait_for(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.2)
