"""Starts and restarts the services of `nightreel up`."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from nightreel import database_server, loopback
from nightreel.errors import UserError
from nightreel.orchestration import parent_watch, project
from nightreel.orchestration.child_process import Child, guard
from nightreel.orchestration.dvc import dvc_config
from nightreel.orchestration.prefect import credentials, database, run_server
from nightreel.orchestration.project import Project
from nightreel.orchestration.services import orphaned_runs, process_ledger, shared_pool, stop
from nightreel.orchestration.services.supervisor import Service
from nightreel.store.backends.base import StoreError
from nightreel.store.backends.seaweedfs import OWN_STORE, ObjectStore
from nightreel.store.open import OBJECT_STORE_IN_USE, store_uri
from nightreel.tracking import address

HOST = run_server.HOST
# With these, a run starts and stops within seconds of a click; Prefect's defaults are 10 s and more. A schedule set in
# the UI is planned at the scheduler's next pass: with the default of 60 s, a time one minute ahead would be missed, and
# the run would come a day or a year later.
SNAPPY = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "10",
}


@dataclass(frozen=True)
class Ports:
    """The services' ports, on loopback. prefect: None if a server elsewhere is used. store: the first of the object
    store's eight; None for no object store."""

    prefect: int | None
    mlflow: int
    store: int | None


@dataclass(frozen=True)
class ServiceStarter:
    """Starts the services. stack: stops them, the worker first; lock: the lock of `up`; say: prints a line."""

    home: Project
    ports: Ports
    lock: int
    stack: ExitStack
    say: Callable[[str], None]

    def all(self) -> tuple[list[Service], dict[str, str]]:
        """Start every service, the slow ones in parallel; returns them and their addresses."""
        home, ports = self.home, self.ports
        api = os.environ["PREFECT_API_URL"] if ports.prefect is None else f"http://{HOST}:{ports.prefect}/api"
        ours = {} if ports.prefect is None else run_server.log_in(home.state, api)
        if ports.prefect is not None:
            database.require(os.environ)
        os.environ.update(project.settings_of_children(home.state) | SNAPPY | parent_watch.mark(home.state) | ours)
        with ExitStack() as starting:
            prefect = None if ports.prefect is None else self.prefect(ports.prefect, starting)
            store = self.own_store()  # before MLflow, which may keep its files there, and DVC, whose remote it is
            if os.access(home.root, os.W_OK):
                dvc_config.settle(home)
            mlflow = self.mlflow()
            run_server.wait(api, prefect)
        shared_pool.require_usable(api, process_ledger.worker_name(home.state))
        self.stack.callback(self.end_runs, prefect)  # runs before the server is stopped
        self.tell(orphaned_runs.end(home.state))
        from nightreel.orchestration.prefect import deployment

        self.tell(deployment.deploy(home))
        self.tell(orphaned_runs.free_slots(deployment.NAME))
        services = [
            *([] if prefect is None else [Service("Prefect", prefect)]),
            Service("MLflow", mlflow, self.mlflow, optional=True),
            *store,
            Service("worker", self.worker(), self.worker_again),
            Service("watch", self.watch(), self.watch),
        ]
        _wait(f"http://{HOST}:{ports.mlflow}/health", mlflow)
        return services, {
            "prefect": database_server.shown(api.removesuffix("/api")),
            "prefect_api": api,
            "deployment": deployment.NAME,
            "mlflow": f"http://{HOST}:{ports.mlflow}",
            "store": store_uri(state=home.state),
            **({"object_store": os.environ["AWS_ENDPOINT_URL"]} if store else {}),
            **({credentials.ADDRESS: str(home.state / credentials.FILE)} if ours else {}),
            "logs": str(home.state / "logs"),
        }

    def prefect(self, port: int, starting: ExitStack) -> Child:
        """Start Prefect's server. starting: ends when it responds, and with it the lock of its database."""
        starting.enter_context(run_server.making_database(self.home.state))
        environment = run_server.of_server(self.home, port)
        return self.child("prefect", environment, "prefect", "server", "start", "--port", str(port))

    def child(self, name: str, environment: Mapping[str, str], *module: str) -> Child:
        """Start a Python module with a log file."""
        command, home = [sys.executable, "-m", *module], self.home
        made = Child(command, cwd=home.root, env=environment, log=home.log(name), hold=self.lock)
        return self.stack.enter_context(made)

    def mlflow(self) -> Child:
        """Start MLflow's server and UI."""
        state = self.home.state
        root = address.artifact_root(state, address.tracking_uri(state)) or ""
        prefixes = ("MLFLOW_", "AWS_") if root.startswith("s3://") else ("MLFLOW_",)
        environment = self.home.environment_of_server(*prefixes)
        return self.child("mlflow", environment, "nightreel.orchestration.services.mlflow_ui", str(self.ports.mlflow))

    def worker(self) -> Child:
        """Start the worker, which starts the flow runs; its name identifies them on a shared server."""
        module, name = "nightreel.orchestration.services.worker", process_ledger.worker_name(self.home.state)
        made = self.child("worker", self.home.environment_with_prefect(), module, name)
        self.stack.callback(stop.end_runs, made.process)
        return made

    def watch(self) -> Child:
        """Start `nightreel watch`, which sends notifications and keeps the plan for when the server is gone."""
        return self.child("watch", self.home.environment_with_prefect(), "nightreel", "watch")

    def worker_again(self) -> Child:
        """Restart a killed worker, after ending its unfinished runs, which would block later ones."""
        self.tell(orphaned_runs.end(self.home.state))
        return self.worker()

    def end_runs(self, prefect: Child | None) -> None:
        """Close the runs that did not report their end themselves; if the server is gone, the next start does it."""
        gone = prefect is not None and prefect.ended()
        self.tell([] if gone else orphaned_runs.end(self.home.state))

    def own_store(self) -> list[Service]:
        """The object store, where this state directory uses one."""
        if self.ports.store is None:
            return []
        store = self.object_store(self.ports.store)
        (self.home.state / OBJECT_STORE_IN_USE).touch()
        return [Service("object store", store, partial(self.object_store, self.ports.store))]

    def object_store(self, port: int) -> ObjectStore:
        """Start the store of versions; runs find it through the environment."""
        store = ObjectStore(self.home.state / "object-store", port)
        before = set(psutil.Process().children())
        try:
            os.environ.update(store.start())
        except StoreError as error:
            raise UserError(f"{error} For example: nightreel up --store-port {port + 100}.") from None
        self.stack.callback(store.stop)
        for process in set(psutil.Process().children()) - before:
            self.stack.enter_context(guard(process.pid, self.lock))
        return store

    def tell(self, lines: list[str]) -> None:
        """Print each line."""
        for line in lines:
            self.say(line)


def _wait(url: str, child: Child) -> None:
    """Wait until the address responds, or its process has ended (which the supervisor then reports)."""
    deadline = time.monotonic() + run_server.START_S
    while time.monotonic() < deadline and child.process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


def uses_object_store(state: Path, wanted: bool) -> bool:
    """Whether nights of this state directory publish to its object store.

    Args:
        state: The state directory.
        wanted: Whether `--object-store` was given, which is needed once only.

    Raises:
        UserError: The versions are elsewhere already, and a state directory has one store.
    """
    used, named = (state / OBJECT_STORE_IN_USE).exists(), os.environ.get("NIGHTREEL_STORE", "")
    if not used and not wanted:
        return False
    if named and named != OWN_STORE:
        raise UserError(
            f"NIGHTREEL_STORE={named}: nights publish there, so that the object store of `nightreel up` has no use. "
            + ("Unset the variable." if used else "Leave out --object-store, or unset the variable.")
        )
    if not used and (state / "store" / "channels").exists():
        raise UserError(
            f"{state / 'store'}: has versions already, and a state directory has one store. Leave out --object-store, "
            "or begin anew with another state directory (NIGHTREEL_STATE)."
        )
    return True


def require_free(what: str, option: str, port: int) -> None:
    """Check that a service's port is free.

    Raises:
        UserError: Another program listens on it.
    """
    taken = loopback.why_taken(HOST, port)
    if taken is not None:
        raise UserError(
            f"{HOST}:{port}: can't be used for {what} ({taken}). Stop what uses it (`ss -ltnp`), or choose another "
            f"port: nightreel up {option} {port + 100}."
        )
