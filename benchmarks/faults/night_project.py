"""A project of two small stages, one of them with a given duration, and a `nightreel up` over it that can be killed."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.prefect_client import logged_in
from benchmarks.speed.free_ports import free_ports
from nightreel.orchestration.prefect.run_server import free_port

ROOT = Path(__file__).resolve().parents[2]
NIGHTREEL = [sys.executable, "-c", "from nightreel.cli.main import main; main()"]
PROXY = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
PATIENCE_S = 300.0  # for services and processes on a busy machine
OUTER = ("GIT_", "NIGHTREEL_", "TOY_", "PREFECT_", "AWS_", "MLFLOW_")

DVC_YAML = """
stages:
  fetch:
    cmd: python stage.py fetch
    deps: [stage.py]
    always_changed: true
    outs: [data/fetch]
  learn:
    cmd: python stage.py learn
    deps: [stage.py, data/fetch]
    params: [finetune]
    outs: [data/learn]
"""
STAGE = """
import os, sys, time
from pathlib import Path

name = sys.argv[1]
if name == os.environ.get("TOY_SLOW"):
    Path(os.environ["TOY_PID"]).write_text(str(os.getpid()))
    time.sleep(60)
Path("data").mkdir(exist_ok=True)
Path("data", name).write_text(name)
"""


def build(folder: Path) -> Path:
    """Write the project, with this checkout's flows and settings; returns the folder."""
    for name in ("flows", "nightreel", "tasks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".dvc").mkdir()
    for name in ("params.yaml", ".dvcignore", ".dvc/config", "prefect.yaml"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "stage.py").write_text(STAGE)
    return folder


def environment() -> dict[str, str]:
    """This process's environment without what an outer run has set."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(OUTER)}
    return ours | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), ours["PATH"]]), "PYTHONPATH": "."}


def _ports() -> list[str]:
    ports = ["--object-store", "--port", free_port(), "--mlflow-port", free_port(), "--store-port", free_ports()]
    return [str(word) for word in ports]


@dataclass
class Up:
    """`nightreel up` of a project, always on the same ports. Stage `learn` of its runs takes a minute.

    said: what it had said on stderr when it was ready; following: the run that was submitted after the last kill.
    """

    root: Path
    ports: list[str] = field(default_factory=_ports)
    process: subprocess.Popen[str] | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    said: str = ""
    following: str = ""

    def begin(self, more: Mapping[str, str] | None = None) -> None:
        """Start it, without waiting; `more` goes into its environment."""
        slow = {"TOY_SLOW": "learn", "TOY_PID": str(self.root / "learn.pid")}
        command, variables = [*NIGHTREEL, "up", "--json", *self.ports], {**environment(), **slow, **(more or {})}
        with (self.root / "up.err").open("w") as err:
            self.process = subprocess.Popen(
                command, cwd=self.root, env=variables, stdout=subprocess.PIPE, stderr=err, text=True
            )

    def wait(self) -> bool:
        """Until it has printed its addresses; False where it ended instead."""
        assert self.process is not None and self.process.stdout is not None
        line = self.process.stdout.readline()
        self.said = self.err()
        self.addresses = json.loads(line) if line else {}
        return bool(line)

    def err(self) -> str:
        """What it has said until now."""
        return (self.root / "up.err").read_text("utf-8")

    def end(self, number: signal.Signals) -> int:
        """Send it a signal, and wait for its end; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def part(self, *words: str) -> psutil.Process:
        """The service whose command has these words."""
        assert self.process is not None
        for each in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if set(words) <= set(each.cmdline()):
                    return each
        raise LookupError(" ".join(words))

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of Prefect's; a busy server says 503 while its database is locked."""
        api, state = self.addresses["prefect_api"], Path(self.addresses["logs"]).parent
        for rest in reversed(range(20)):
            try:
                with logged_in(api, state) as client:
                    answer = client.request(method, path, json=body).raise_for_status()
                return answer.json() if answer.content else None
            except httpx.HTTPStatusError as error:
                if error.response.status_code != 503 or not rest:
                    raise
                time.sleep(1)
        return None

    @property
    def deployment(self) -> dict[str, Any]:
        """As the server has it."""
        found: dict[str, Any] = self.api("GET", "/deployments/name/nightly/nightly")
        return found

    def submit(self) -> str:
        """A run that goes through the slow stage in any case; returns its id."""
        path = f"/deployments/{self.deployment['id']}/create_flow_run"
        return str(self.api("POST", path, {"parameters": {"run": {"force": ["learn"]}}})["id"])

    def plan(self) -> str:
        """Add a schedule, as in Prefect's page, whose slow nights come in half a minute and every two; returns its id.

        By interval: a clock time would be over, and its night a year away, where a busy server plans it too late.
        """
        at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
        schedule = {"interval": 120, "anchor_date": at.isoformat(), "timezone": "UTC"}
        body = [{"schedule": schedule, "parameters": {"run": {"force": ["learn"]}}}]
        (made,) = self.api("POST", f"/deployments/{self.deployment['id']}/schedules", body)
        return str(made["id"])

    def unplan(self, schedule: str) -> None:
        """Remove it again, and its nights that came in the meantime and wait for the slot."""
        self.api("DELETE", f"/deployments/{self.deployment['id']}/schedules/{schedule}")
        waiting = {"flow_runs": {"state": {"name": {"any_": ["AwaitingConcurrencySlot", "Late"]}}}}
        for run in self.api("POST", "/flow_runs/filter", waiting):
            self.api("DELETE", f"/flow_runs/{run['id']}")

    def comes(self, besides: str = "") -> str:
        """Wait for a run that nobody submitted, other than `besides`; returns its id, empty where none comes."""
        begun = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}}}

        def found() -> list[str]:
            runs = self.api("POST", "/flow_runs/filter", begun)
            return [run["id"] for run in runs if run["auto_scheduled"] and run["id"] != besides]

        return found()[0] if until(lambda: bool(found()), PATIENCE_S) else ""

    def state(self, run: str) -> str:
        """The type of a run's state."""
        return str(self.api("GET", f"/flow_runs/{run}")["state_type"])

    def given(self, run: str, seconds: float) -> bool:
        """Whether the run has its deployment's slot within so many seconds."""
        return until(lambda: self.state(run) in ("PENDING", "RUNNING", *ENDED), seconds)

    def under_way(self, run: str) -> bool:
        """Wait until the run's slow stage works."""
        pid = self.root / "learn.pid"
        return until(lambda: pid.exists() and pid.read_text() != "" and self.state(run) == "RUNNING", PATIENCE_S)

    def stage(self) -> psutil.Process:
        """The process of the slow stage; asked once, since the next run's tells its own."""
        pid = self.root / "learn.pid"
        found = psutil.Process(int(pid.read_text()))
        pid.unlink()
        return found


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes to hold within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return held


def alive(process: psutil.Process) -> bool:
    """Whether a process still works."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
