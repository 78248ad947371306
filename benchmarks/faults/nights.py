"""Scheduled nights that must run again after every fault: after each kill, during a `run`, behind a failing proxy.

Prefect, its worker, MLflow, the object store and `nightreel up` are real processes; only the stages are small.
"""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass

from benchmarks.faults.night_project import ENDED, NIGHTREEL, PATIENCE_S, PROXY, Up, alive, build, environment, until
from benchmarks.faults.world import Row, World

KILLS = ("up", "worker", "ctrl-c", "server")
NEXT_S = 60.0  # within which the next run is given to a worker


@dataclass
class Counts:
    """came: nights that nobody submitted; hanging: runs that were not ended; left: stages that went on; untold: ends of
    which the terminal said nothing; stuck: next runs that got no slot in time."""

    kills: int = 0
    came: int = 0
    hanging: int = 0
    left: int = 0
    untold: int = 0
    stuck: int = 0


def campaign(world: World) -> list[Row]:
    """One project, one story: each part goes on where the one before left off."""
    up = Up(build(world.root / "nights"))
    try:
        together, counts = begin_together(up), Counts()
        for how in KILLS:
            kill(up, how, counts)
        kept = stays(up)
    finally:
        if up.process is not None:
            up.process.kill()
            up.process.wait()
    return [
        Row("`up` and `run` begun together, fresh state, http_proxy set", f"{together} of 2", "2 of 2", together == 2),
        Row("scheduled nights that came by themselves, the second after a kill of `up` in the first",
            f"{counts.came} of 2", "2 of 2", counts.came == 2),
        Row("kills in a night: `up`, worker, server; Ctrl-C", f"{counts.kills}", f"{len(KILLS)}",
            counts.kills == len(KILLS)),
        Row("  runs that stayed as they were", f"{counts.hanging}", "0", counts.hanging == 0),
        Row("  stages that went on", f"{counts.left}", "0", counts.left == 0),
        Row("  ends of which the terminal did not tell", f"{counts.untold}", "0", counts.untold == 0),
        Row(f"  next runs without a slot within {NEXT_S:.0f} s", f"{counts.stuck}", "0", counts.stuck == 0),
        Row("schedules turned off in the page that came back", f"{1 - kept}", "0", kept == 1),
    ]  # fmt: skip


def begin_together(up: Up) -> int:
    """How many of the two began: both make Prefect's database, and loopback is asked past the proxy."""
    up.begin(PROXY)
    run = subprocess.run(
        [*NIGHTREEL, "run"], cwd=up.root, env=environment() | PROXY, capture_output=True, text=True, check=False
    )
    if run.returncode:
        print(f"the run beside `up` failed: {run.stdout}{run.stderr}")
    return int(up.wait()) + int(run.returncode == 0)


def kill(up: Up, how: str, counts: Counts, next_s: float = NEXT_S) -> None:
    """Kill something while a run is going on, start again what does not by itself, and count what is left.

    `up` is killed in a night that its schedule brought; the one that follows has to come by itself too. After the other
    kills a run is submitted. The run that follows is the one in which the next kill comes.
    """
    schedule = up.plan() if how == "up" else ""
    run = up.comes() if schedule else up.following or up.submit()
    if not (run and up.given(run, next_s) and up.under_way(run)):
        counts.stuck += 1
        return
    counts.came += bool(schedule)
    stage, name = up.stage(), up.api("GET", f"/flow_runs/{run}")["name"]
    said = _kill(up, how, run, name)
    counts.kills += 1
    counts.hanging += up.state(run) not in ENDED
    counts.left += alive(stage)
    counts.untold += how != "ctrl-c" and f"run {name} was " not in said  # Prefect itself may be quicker on Ctrl-C
    if schedule:
        up.following = up.comes(besides=run)
        counts.came += bool(up.following)
        up.unplan(schedule)
    else:
        up.following = up.submit()
    counts.stuck += not (up.following and up.given(up.following, next_s))


def _kill(up: Up, how: str, run: str, name: str) -> str:
    """Kill it, and start it again; returns what the terminal was told of the run, by its name."""
    if how == "worker":
        up.part("nightreel.orchestration.services.worker").kill()
        # The run has ended a moment before the terminal tells of it.
        until(lambda: up.state(run) in ENDED and f"run {name} was " in up.err(), PATIENCE_S)
        return up.err()
    _end(up, how)
    up.begin()
    up.wait()
    return up.said


def _end(up: Up, how: str) -> None:
    assert up.process is not None
    if how == "server":
        up.part("prefect", "server").kill()
        up.process.wait(PATIENCE_S)
    else:
        up.end(signal.SIGINT if how == "ctrl-c" else signal.SIGKILL)


def stays(up: Up) -> int:
    """Whether a schedule that is turned off and moved in the page is so after a restart."""
    deployment = up.deployment
    schedule = deployment["schedules"][0]
    moved = {"active": False, "schedule": {"cron": "0 5 * * *", "timezone": "UTC"}}
    up.api("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", moved)
    up.end(signal.SIGINT)
    time.sleep(0.5)
    up.begin()
    up.wait()
    here = [each for each in up.deployment["schedules"] if each["schedule"].get("cron") == "0 5 * * *"]
    return int([each["active"] for each in here] == [False] and "kept" in up.said)
