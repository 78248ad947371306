"""A Prefect API for one run: quiet, on loopback, started while other modules are still being imported.

Prefect's own ephemeral mode starts the same application, but only after its import, and a kill -9 leaves it running.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nightreel import database_server
from nightreel.errors import UserError
from nightreel.orchestration import parent_watch
from nightreel.orchestration.child_process import Child
from nightreel.orchestration.lock import exclusive
from nightreel.orchestration.prefect import credentials, database
from nightreel.orchestration.project import Project, settings_of_children
from nightreel.store.fence import held

HOST = "127.0.0.1"
START_S = 240.0  # it takes 10 s on a quiet machine


@contextmanager
def api(project: Project, patience_s: float = START_S) -> Iterator[Callable[[], None]]:
    """Point this process at a Prefect API: the user's, that of a running `nightreel up`, or a new one.

    Yields a function that waits until the API responds. Import Prefect only after entering, and start flow runs only
    after calling that function.
    """
    quiet = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    os.environ.update(settings_of_children(project.state) | quiet)
    known = os.environ.get("PREFECT_API_URL") or running(project)
    if known:
        os.environ.update(address(project, known))
        yield lambda: wait(known, None, patience_s)
        return
    database.require(os.environ)
    port = free_port()
    credentials.prepare(project.state)
    url = f"http://{HOST}:{port}/api"
    with ExitStack() as stack:
        stack.enter_context(_set(log_in(project.state, url)))
        starting = stack.enter_context(ExitStack())
        starting.enter_context(making_database(project.state, patience_s))
        child = stack.enter_context(serve(project, port))

        def ready() -> None:
            wait(url, child, patience_s)
            starting.close()

        yield ready


@contextmanager
def making_database(state: Path, patience_s: float = START_S) -> Iterator[None]:
    """Hold two locks while a Prefect server starts: two that create or migrate the same database at once corrupt it.

    One is of the state directory, which has the database unless another is named; the other is of that other one.
    """
    lock = state / "locks" / "prefect.lock"
    with (
        exclusive(lock, "the start of a Prefect server", patience=patience_s),
        database.one_at_a_time(os.environ, patience_s),
    ):
        yield


@contextmanager
def serve(project: Project, port: int) -> Iterator[Child]:
    """Run the API without its UI, as a child process over the database in the state directory."""
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "prefect.server.api.server:create_app",
        "--host",
        HOST,
        "--port",
        str(port),
        "--log-level",
        "error",
        "--lifespan",
        "on",
    ]
    more = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    environment = of_server(project, port, more)
    with Child(command, cwd=project.root, env=environment, log=project.log("prefect-run")) as child:
        try:
            yield child
        finally:
            _drain()


def of_server(project: Project, port: int, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a Prefect server on this port, closed to everybody without the credentials."""
    closed = credentials.of_server(project.state, port)
    environment = project.environment_of_server("PREFECT_", more={**closed, **(more or {})})
    for name in ("PREFECT_API_URL", credentials.CLIENT, "PREFECT_API_KEY"):
        environment.pop(name, None)
    return environment


def address(project: Project, url: str) -> dict[str, str]:
    """The environment variables with which Prefect's clients reach a server; ours needs its credentials."""
    up = _up(project)
    ours = credentials.ADDRESS in up and url.rstrip("/") == up["prefect_api"].rstrip("/")
    return log_in(project.state, url) if ours else {"PREFECT_API_URL": url}


def log_in(state: Path, url: str) -> dict[str, str]:
    """The environment variables with which Prefect's clients reach a server that Nightreel started."""
    return {"PREFECT_API_URL": url, **credentials.of_client(state)}


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _drain() -> None:
    """Let Prefect send its last log lines and events now; without a server it would retry for a minute at exit."""
    if "prefect.flows" in sys.modules:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        for worker in (APILogWorker, EventsWorker):
            worker.drain_all(timeout=5.0)


def running(project: Project) -> str | None:
    """The API that the `nightreel up` of this state directory uses, if one runs."""
    return _up(project).get("prefect_api")


def _up(project: Project) -> dict[str, str]:
    """The addresses of the `nightreel up` that serves this state directory; empty if none does."""
    if not held(project.state / parent_watch.LOCK):
        return {}
    try:
        return {**json.loads((project.state / "up.json").read_text("utf-8"))}
    except (OSError, ValueError, TypeError):
        return {}


def elsewhere(port: int) -> str | None:
    """The API in PREFECT_API_URL; None if none is named, or only that of an earlier `nightreel up` on this port.

    Args:
        port: Where `nightreel up` would start a server.

    Raises:
        UserError: Nothing responds there.
    """
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url or url in (f"http://{host}:{port}/api" for host in (HOST, "localhost")):
        return None
    if not answers(url):
        raise UserError(
            f"PREFECT_API_URL={database_server.shown(url)}: no Prefect server responds there. Start it, or unset the "
            "variable: `nightreel up` then starts a server of its own."
        )
    return url


def wait(url: str, child: Child | None, patience_s: float = START_S) -> None:
    """Wait until the API responds.

    Raises:
        UserError: Its process ended, or it does not respond in time.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if child is not None and child.process.poll() is not None:
            break
        if answers(url):
            return
        time.sleep(0.1)
    raise UserError(
        f"{url}: the Prefect API does not respond. See the logs in .nightreel/logs; `dvc repro` runs without Prefect."
    )


def answers(url: str) -> bool:
    """Whether a healthy Prefect API responds there."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
