"""The services of `nightreel up`, as they are started, and started again."""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel.errors import UserError
from nightreel.orchestration import parent_watch, project
from nightreel.orchestration.child_process import Child, guard
from nightreel.orchestration.prefect import run_server
from nightreel.orchestration.project import Project
from nightreel.orchestration.services import orphaned_runs, process_ledger, stop
from nightreel.orchestration.services.supervisor import Service
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.seaweedfs import ObjectStore

HOST = run_server.HOST
# A run starts and stops within seconds of a click; Prefect's own pace is 10 s and more. A schedule that is set in its
# page is planned at the next pass of its scheduler: at its own pace of 60 s, a time that is a minute ahead is over by
# then, and its night comes a day later, or a year.
SNAPPY = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "10",
}


@dataclass(frozen=True)
class Ports:
    """Where each service listens, on loopback. store: the first of eight."""

    prefect: int
    mlflow: int
    store: int


@dataclass(frozen=True)
class ServiceStarter:
    """Starts the services; `stack` stops them, the worker first. lock: that of `up`; say: a line for the terminal."""

    home: Project
    ports: Ports
    lock: int
    stack: ExitStack
    say: Callable[[str], None]

    def all(self) -> tuple[list[Service], dict[str, str]]:
        """Every service, the slow ones side by side, and their addresses."""
        home, ports = self.home, self.ports
        api = f"http://{HOST}:{ports.prefect}/api"
        ours = parent_watch.mark(home.state) | {"PREFECT_API_URL": api}
        os.environ.update(project.settings_of_children(home.state) | SNAPPY | ours)
        with run_server.making_database(home.state):
            prefect = self.child("prefect", "prefect", "server", "start", "--port", str(ports.prefect))
            mlflow = self.mlflow()
            store = self.object_store()
            run_server.wait(api, prefect)
        self.stack.callback(self.end_runs, prefect)  # while the server is still there to be told
        self.tell(orphaned_runs.end(home.state))
        from nightreel.orchestration.prefect import deployment

        self.tell(deployment.deploy(home))
        self.tell(orphaned_runs.free_slots(deployment.NAME))
        services = [
            Service("Prefect", prefect),
            Service("MLflow", mlflow, self.mlflow),
            Service("object store", store, self.object_store),
            Service("worker", self.worker(), self.worker_again),
        ]
        _wait(f"http://{HOST}:{ports.mlflow}/health", mlflow)
        return services, {
            "prefect": f"http://{HOST}:{ports.prefect}",
            "prefect_api": api,
            "deployment": deployment.NAME,
            "mlflow": f"http://{HOST}:{ports.mlflow}",
            "object_store": os.environ["AWS_ENDPOINT_URL"],
            "store": os.environ["NIGHTREEL_STORE"],
            "credentials": str(home.state / "object-store.json"),
            "logs": str(home.state / "logs"),
        }

    def child(self, name: str, *module: str) -> Child:
        """A Python program with a log."""
        command, home = [sys.executable, "-m", *module], self.home
        made = Child(command, cwd=home.root, env=home.environment(), log=home.log(name), hold=self.lock)
        return self.stack.enter_context(made)

    def mlflow(self) -> Child:
        """MLflow's server and pages."""
        return self.child("mlflow", "nightreel.orchestration.services.mlflow_ui", str(self.ports.mlflow))

    def worker(self) -> Child:
        """Who starts the flow runs. On a server that is shared its name tells whose they are."""
        made = self.child(
            "worker", "nightreel.orchestration.services.worker", process_ledger.worker_name(self.home.state)
        )
        self.stack.callback(stop.end_runs, made.process)
        return made

    def worker_again(self) -> Child:
        """In the place of one that was killed: what it had under way is ended, so that it blocks nothing."""
        self.tell(orphaned_runs.end(self.home.state))
        return self.worker()

    def end_runs(self, prefect: Child) -> None:
        """At the end: what the worker's runs did not tell the server themselves. A server that is gone is told at the
        next start."""
        self.tell([] if prefect.ended() else orphaned_runs.end(self.home.state))

    def object_store(self) -> ObjectStore:
        """The store of versions; runs reach it through the environment."""
        store = ObjectStore(self.home.state / "object-store", self.ports.store)
        before = set(psutil.Process().children())
        try:
            os.environ.update(store.start())
        except StoreError as error:
            raise UserError(f"{error} For example: nightreel up --store-port {self.ports.store + 100}.") from None
        self.stack.callback(store.stop)
        for process in set(psutil.Process().children()) - before:
            self.stack.enter_context(guard(process.pid, self.lock))
        return store

    def tell(self, lines: list[str]) -> None:
        """Each line in the terminal."""
        for line in lines:
            self.say(line)


def _wait(url: str, child: Child) -> None:
    """Until the address answers, or its process is gone (`_stay` says so then)."""
    deadline = time.monotonic() + run_server.START_S
    while time.monotonic() < deadline and child.process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


def require_free(what: str, option: str, port: int) -> None:
    """Raises UserError where another program listens on the port of a service."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"{HOST}:{port}: can't be used for {what} ({error.strerror}). Stop what uses it (`ss -ltnp`), "
                f"or choose another port: nightreel up {option} {port + 100}."
            ) from None
