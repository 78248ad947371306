"""`nightreel up`: the Prefect server, schedule and worker, the MLflow UI and an object store, as one command."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich import box
from rich.console import Console
from rich.table import Table

from nightreel.errors import UserError
from nightreel.orchestration import parent_watch, project
from nightreel.orchestration.lock import exclusive
from nightreel.orchestration.prefect import credentials, run_server
from nightreel.orchestration.services import disk_space
from nightreel.orchestration.services.start import Ports, ServiceStarter, require_free, uses_object_store
from nightreel.orchestration.services.supervisor import Service
from nightreel.stage import prepare_state, write_json

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """A signal asked this process to stop."""


def up(ports: Ports, object_store: bool, as_json: bool) -> None:
    """Start the services, print their addresses, and wait for Ctrl-C, SIGTERM or the end of Prefect's server.

    Args:
        ports: Where the services listen.
        object_store: Whether nights of this state directory publish to an object store from now on.
        as_json: Whether to print the addresses as JSON.

    Raises:
        UserError: A port is in use, another `up` uses this state directory, its versions are elsewhere, or a service
            ended by itself.
    """
    home = project.find()
    used = uses_object_store(home.state, object_store)
    ports = ports if used else replace(ports, store=None)
    if ports.prefect is not None and run_server.elsewhere(ports.prefect):
        ports = replace(ports, prefect=None)
    console = Console(stderr=True)
    prepare_state(home.state)
    disk_space.require(home.state)
    say = partial(console.print, style="yellow", highlight=False, soft_wrap=True)
    if not used and (home.state / "object-store" / "data").exists():
        say(
            "The versions that an earlier release published through `nightreel up` are in an object store. To go on "
            "with it: nightreel up --object-store. Without it, nights publish to the folder of all other commands."
        )
    with _ending(), exclusive(home.state / parent_watch.LOCK, "`nightreel up`") as lock, ExitStack() as stack:
        (home.state / "up.json").unlink(missing_ok=True)  # left by an `up` that was killed
        if ports.prefect is not None:
            require_free("Prefect", "--port", ports.prefect)
        require_free("MLflow", "--mlflow-port", ports.mlflow)
        if ports.store is not None:
            require_free("the object store", "--store-port", ports.store)
        new = ports.prefect is not None and credentials.prepare(home.state)
        try:
            with console.status("starting Prefect and MLflow …"):
                services, addresses = ServiceStarter(home, ports, lock, stack, say).all()
            stack.callback((home.state / "up.json").unlink, missing_ok=True)
            write_json(home.state / "up.json", addresses)
            _show(addresses, as_json, credentials.auth_string(home.state) if new else "")
            _stay(services, say, home.state, lock)
        except Ended:
            console.print("stopping …", style="dim")
        finally:
            for number in ENDS:
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave some services running


def _stay(services: list[Service], say: Callable[[str], None], state: Path, lock: int) -> NoReturn:
    disk = disk_space.DiskWatch(state, say)
    while True:
        _require_state(state, lock)
        if not disk.look():
            for service in services:
                service.restart_if_ended(say)
        time.sleep(0.5)


def _require_state(state: Path, lock: int) -> None:
    """Raise UserError if the state directory is no longer the one in which the lock (a file descriptor) lies: the next
    night would make a new one, with other pseudonyms for all users."""
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(lock), (state / parent_watch.LOCK).stat()):
            return
    raise UserError(
        f"{state}: the state directory was moved or removed while `nightreel up` was running. Put it back, or name its "
        "new place in NIGHTREEL_STATE, and start `nightreel up` again."
    )


@contextmanager
def _ending() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the end of the terminal raise Ended; restores the handlers afterwards."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise Ended

    before = {number: signal.signal(number, end) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(addresses: dict[str, str], as_json: bool, login: str) -> None:
    """Print the addresses. login: the page's login if it is new; it is shown once, and only in a terminal, because
    other output ends up in logs."""
    if as_json:
        print(json.dumps(addresses), flush=True)
        return
    shown = login if login and sys.stdout.isatty() else "the PREFECT_API_AUTH_STRING that `nightreel env` prints"
    prefect = "runs, schedule and form (Deployments › nightly › Run › Custom run)"
    if credentials.ADDRESS in addresses:
        prefect += f"\nits page asks for a password once: {shown}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for what, where in (
        ("Prefect", f"{addresses['prefect']}\n{prefect}"),
        ("MLflow", f"{addresses['mlflow']}\nmetrics, curves and model of every run"),
        ("Versions", _where(addresses)),
        ("Logs", addresses["logs"]),
    ):
        table.add_row(what, where)
    Console().print(table, "[dim]Ctrl-C stops all services.[/]", sep="\n")


def _where(addresses: dict[str, str]) -> str:
    """Where nights publish, and how other terminals reach it."""
    server = addresses.get("object_store")
    return (
        f'{addresses["store"]} at {server}\nin other terminals: eval "$(nightreel env)"'
        if server
        else addresses["store"]
    )
