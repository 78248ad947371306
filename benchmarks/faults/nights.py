"""Nights that shall come and come again: by their schedule, after every kill, beside a `run`, behind a proxy.

Prefect, its worker, MLflow, the object store and `nightreel up` are real processes; only the stages are small.
"""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import time
from dataclasses import dataclass

from benchmarks.faults.night_project import ENDED, NIGHTREEL, PROXY, Up, alive, build, environment, until
from benchmarks.faults.world import Row, World

KILLS = ("worker", "up", "ctrl-c", "server")
NEXT_S = 60.0  # within which the next run is given to a worker
SCHEDULE_S = 180.0  # from setting a time about a minute ahead to the begin of its run


@dataclass
class Counts:
    """hanging: runs that were not ended; left: stages that went on; stuck: next runs that got no slot in time."""

    kills: int = 0
    hanging: int = 0
    left: int = 0
    untold: int = 0
    stuck: int = 0


def campaign(world: World) -> list[Row]:
    """One project, one story: each part goes on where the one before left off."""
    up = Up(build(world.root / "nights"))
    try:
        together = begin_together(up)
        fired = scheduled(up)
        counts = Counts()
        for how in KILLS:
            kill(up, how, counts)
        kept = stays(up)
    finally:
        if up.process is not None:
            up.process.kill()
            up.process.wait()
    return [
        Row("`up` and `run` begun together, fresh state, http_proxy set", f"{together} of 2", "2 of 2", together == 2),
        Row("scheduled nights that came, nobody touching anything", f"{fired} of 1", "1 of 1", fired == 1),
        Row("kills in a night: worker, `up`, server; Ctrl-C", f"{counts.kills}", f"{len(KILLS)}",
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


def scheduled(up: Up) -> int:
    """Whether a time that is added to the deployment brings a run; it is ended at once."""
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=75)
    schedule = {"cron": f"{at.minute} {at.hour} {at.day} {at.month} *", "timezone": "UTC"}
    up.api("POST", f"/deployments/{up.deployment['id']}/schedules", [{"schedule": schedule}])
    begun = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", *ENDED]}}}, "sort": "START_TIME_DESC"}

    def found() -> list[str]:
        return [run["id"] for run in up.api("POST", "/flow_runs/filter", begun) if run["auto_scheduled"]]

    came = until(lambda: bool(found()), SCHEDULE_S)
    for run in found():
        until(lambda run=run: up.state(run) in ENDED, SCHEDULE_S)  # type: ignore[misc]
    return int(came)


def kill(up: Up, how: str, counts: Counts) -> None:
    """Kill something while a run is going on, start again what does not by itself, and count what is left.

    The run that follows is the one in which the next kill comes.
    """
    run = up.following or up.submit()
    if not (up.given(run, NEXT_S) and up.under_way(run)):
        counts.stuck += 1
        return
    stage = up.stage()
    if how == "worker":
        up.part("flows.worker").kill()
        until(lambda: up.state(run) in ENDED and "ended run" in up.err(), NEXT_S)
        said = up.err()
    else:
        _end(up, how)
        up.begin()
        up.wait()
        said = up.said
    name = up.api("GET", f"/flow_runs/{run}")["name"]
    counts.kills += 1
    counts.hanging += up.state(run) not in ENDED
    counts.left += alive(stage)
    counts.untold += how != "ctrl-c" and f"ended run {name}" not in said  # Prefect itself may be quicker on Ctrl-C
    up.following = up.submit()
    counts.stuck += not up.given(up.following, NEXT_S)


def _end(up: Up, how: str) -> None:
    assert up.process is not None
    if how == "server":
        up.part("prefect", "server").kill()
        up.process.wait(60)
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
