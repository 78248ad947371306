"""`nightreel up`: Prefect server, UI, schedule and worker, MLflow UI and object store; started and stopped together."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import psutil  # type: ignore[import-untyped,unused-ignore]
from rich import box
from rich.console import Console
from rich.table import Table

from flows import orphan, project, server
from flows.child import Child, guard
from flows.lock import exclusive
from flows.project import Project
from tasks.index.object_store import ObjectStore
from tasks.index.store import StoreError
from tasks.stage import UserError, write_json

HOST = server.HOST
# A run starts and stops within seconds of a click; Prefect's own pace is 10 s and more.
SNAPPY = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "2"}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ports:
    """Where each service listens, on loopback. store: the first of eight."""

    prefect: int
    mlflow: int
    store: int


class Ended(Exception):
    """Somebody asked us to stop."""


def up(ports: Ports, as_json: bool) -> None:
    """Start everything, print where it is, and stay until Ctrl-C, SIGTERM or the end of one of the services.

    Raises UserError: a port in use, another `up` on this state directory, a service that ended by itself.
    """
    home = project.find()
    console = Console(stderr=True)
    with _ending(), exclusive(home.state / orphan.LOCK, "`nightreel up`") as lock, ExitStack() as stack:
        _require_free("Prefect", "--port", ports.prefect)
        _require_free("MLflow", "--mlflow-port", ports.mlflow)
        try:
            with console.status("starting Prefect, MLflow and the object store …"):
                services, addresses = _start(home, ports, lock, stack)
            stack.callback((home.state / "up.json").unlink, missing_ok=True)
            write_json(home.state / "up.json", addresses)
            _show(addresses, as_json)
            _stay(services)
        except Ended:
            console.print("stopping …", style="dim")
        finally:
            for number in ENDS:
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running


def _start(home: Project, ports: Ports, lock: int, stack: ExitStack) -> tuple[dict[str, Child], dict[str, str]]:
    """Every service, the slow ones side by side; `stack` stops them, the worker first."""
    api = f"http://{HOST}:{ports.prefect}/api"
    os.environ.update(project.settings_of_children(home.state) | SNAPPY | {orphan.MARK: "1", "PREFECT_API_URL": api})
    services = {
        "Prefect": _child(home, stack, lock, "prefect", "prefect", "server", "start", "--port", str(ports.prefect)),
        "MLflow": _child(home, stack, lock, "mlflow", "flows.mlflow_ui", str(ports.mlflow)),
    }
    os.environ.update(_object_store(home, ports.store, lock, stack))
    from flows import deployment

    server.wait(api, services["Prefect"])
    deployment.make_pool()
    work = ("prefect", "worker", "start", "--pool", deployment.POOL, "--type", "process")
    services["worker"] = _child(home, stack, lock, "worker", *work)
    stack.callback(deployment.end_runs, services["worker"].process.pid)
    name = deployment.deploy(home)
    _wait(f"http://{HOST}:{ports.mlflow}/health", services["MLflow"])
    return services, {
        "prefect": f"http://{HOST}:{ports.prefect}",
        "prefect_api": api,
        "deployment": name,
        "mlflow": f"http://{HOST}:{ports.mlflow}",
        "object_store": os.environ["AWS_ENDPOINT_URL"],
        "store": os.environ["NIGHTREEL_STORE"],
        "credentials": str(home.state / "object-store.json"),
        "logs": str(home.state / "logs"),
    }


def _child(home: Project, stack: ExitStack, lock: int, name: str, *module: str) -> Child:
    command = [sys.executable, "-m", *module]
    return stack.enter_context(Child(command, cwd=home.root, env=home.environment(), log=home.log(name), hold=lock))


def _object_store(home: Project, port: int, lock: int, stack: ExitStack) -> dict[str, str]:
    """Start it; returns the variables with which runs reach it."""
    store, before = ObjectStore(home.state / "object-store", port), set(psutil.Process().children())
    try:
        environment = store.start()
    except StoreError as error:
        raise UserError(f"{error} For example: nightreel up --store-port {port + 100}.") from None
    stack.callback(store.stop)
    for process in set(psutil.Process().children()) - before:
        stack.enter_context(guard(process.pid, lock))
    return environment


def _stay(services: dict[str, Child]) -> NoReturn:
    while True:
        for name, child in services.items():
            if child.process.poll() is not None:
                raise UserError(f"{name}: ended by itself. Its log says why: {child.log}")
        time.sleep(0.5)


def _wait(url: str, child: Child) -> None:
    """Until the address answers, or its process is gone (`_stay` says so then)."""
    deadline = time.monotonic() + server.START_S
    while time.monotonic() < deadline and child.process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


def _require_free(what: str, option: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"{HOST}:{port}: can't be used for {what} ({error.strerror}). Stop what uses it (`ss -ltnp`), "
                f"or choose another port: nightreel up {option} {port + 100}."
            ) from None


@contextmanager
def _ending() -> Iterator[None]:
    """Ctrl-C, SIGTERM and the end of the terminal all raise Ended; on leaving, signals are as they were."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise Ended

    before = {number: signal.signal(number, end) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(addresses: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(addresses), flush=True)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for what, where in (
        ("Prefect", f"{addresses['prefect']}\nruns, schedule, and the form: Deployments › nightly › Run › Custom run"),
        ("MLflow", f"{addresses['mlflow']}\nevery run's metrics, curves and model"),
        ("Object store", f"{addresses['object_store']}  {addresses['store']}\ncredentials: {addresses['credentials']}"),
        ("Logs", addresses["logs"]),
    ):
        table.add_row(what, where)
    Console().print(table, "[dim]Ctrl-C stops all of it.[/]", sep="\n")
