"""python -m nightreel.tracking.sender STATE [LIVE]: records the waiting runs; `delivery` starts it.

Each line on stdout is a JSON object: `within` (time limit of the next step, in seconds), `doing` (that step) and `late`
(the message if it takes longer); `say` (a message for the user); `recorded` (a recipe); `fault` with `recipe` (null:
all of MLflow). Everything else goes to stderr.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from nightreel import database_server
from nightreel.stage import write_json
from nightreel.tracking import artifact_paths, faults, outbox
from nightreel.tracking.address import database_file, shown, tracking_uri
from nightreel.tracking.shared_database import one_at_a_time

REACH_S = 18.0
"""Time limit for a server's first response, in seconds; with the import of MLflow, less than 30 s in total."""
BUSY_S = 150.0
"""How long to wait for a database that another process uses (such as a backup), in seconds."""
RUN_S = 900.0
"""Time limit for one run with its model, in seconds; each request to a server has its own limit."""
Tell = Callable[[dict[str, Any]], None]


def main() -> None:
    """Send messages to the parent process on the original stdout; MLflow's own output goes to stderr."""
    line = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> None:
        try:
            print(json.dumps(message), file=line, flush=True)
        except BrokenPipeError:
            return  # the parent is gone; what has begun is still completed

    send(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None, tell)


def send(state: Path, live: str | None, tell: Tell) -> None:
    """Record every waiting run, the oldest first; reports the results as messages and never raises.

    Args:
        state: The state directory.
        live: Digest of the version that the channel points to, for the alias `champion`.
        tell: Sends a message.
    """
    uri = tracking_uri(state)
    try:
        client = open_client(state, uri, tell)
    except Exception as error:
        faults.print_traceback(uri)
        return tell({"fault": faults.explain(error, uri), "recipe": None})
    for entry in outbox.waiting(state):
        doing = f"recording {entry.name[:12]} at {shown(uri)}"
        try:
            with locked(state, tell):
                late = f"{doing} took longer than {RUN_S:.0f} s. Check the server"
                tell({"within": RUN_S, "doing": doing, "late": late})
                _patiently(lambda entry=entry: _record(client, state, entry, live, tell), uri, tell)  # type: ignore[misc]
        except Exception as error:
            faults.print_traceback(uri)
            tell({"fault": faults.explain(error, uri), "recipe": entry.name})
            if not _one_runs(error):
                return None
    return None


def open_client(state: Path, uri: str, tell: Tell) -> Any:
    """Return MLflow's client once its database or server responded; updates the paths of a moved state directory."""
    _modest()
    from nightreel.tracking import mlflow_runs

    database = database_file(uri)
    within = REACH_S if uri.startswith("http") else BUSY_S + 60  # a database may have to be made or migrated first
    late = f"MLflow at {shown(uri)} did not respond within {within:.0f} s. Check the address and the server"
    step = {"within": within, "doing": f"connecting to MLflow at {shown(uri)}", "late": late}
    (state / "mlflow").mkdir(parents=True, exist_ok=True)

    def reach() -> Any:
        moved = artifact_paths.follow(state, database, patience=5.0) if database is not None else None
        if moved:
            tell({"say": moved})
        with one_at_a_time(uri) if database_server.is_named(uri) else nullcontext():
            client = mlflow_runs.client(uri)
            client.search_experiments(max_results=1)
        return client

    with locked(state, tell):
        tell(step)
        return _patiently(reach, uri, tell)


@contextmanager
def locked(state: Path, tell: Tell) -> Iterator[None]:
    """Hold the lock for recording: several processes at once corrupt a new database."""
    late = "another process has been recording from this state directory for minutes. Find and stop it"
    tell({"within": RUN_S + 10, "doing": "waiting for another recording process", "late": late})
    (state / "locks").mkdir(parents=True, exist_ok=True)
    with (state / "locks" / "mlflow.lock").open("w") as lock:
        deadline = time.monotonic() + RUN_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(late) from None
                time.sleep(0.2)
        yield


def _record(client: Any, state: Path, entry: Path, live: str | None, tell: Tell) -> None:
    """Write a run to MLflow, then remove it from the outbox; if killed in between, the next time updates the run."""
    from nightreel.tracking import mlflow_runs

    if not entry.is_dir():  # another process recorded it while this one waited for the lock
        return tell({"recorded": entry.name})
    facts, marker = outbox.take(entry)
    if marker.get("model") and facts.version is None:
        lost = (
            f"run {entry.name[:12]} is recorded without its model, because more than {outbox.MODELS_KEPT} runs waited"
        )
        tell({"say": f"{lost}. A published model is still in the store"})
    version = facts.version and replace(facts.version, alias=None if facts.version.digest == live else "challenger")
    recorded = mlflow_runs.record(
        client, replace(facts, live=live, version=version), state, lambda text: tell({"say": text})
    )
    if marker:
        write_json(state / "mlflow" / "recorded" / f"{facts.recipe}.json", marker | {"live": live} | recorded)
    outbox.drop(entry)
    return tell({"recorded": facts.recipe})


def _patiently(attempt: Callable[[], Any], uri: str, tell: Tell) -> Any:
    """Repeat an attempt while another process uses the database; returns its result."""
    deadline, told = time.monotonic() + BUSY_S, False
    while True:
        try:
            return attempt()
        except Exception as error:
            if not faults.busy(error) or time.monotonic() > deadline:
                raise
        if not told:
            tell({"say": f"MLflow's database {shown(uri)} is in use by another process; waiting for it"})
            told = True
        time.sleep(1.0)


def _one_runs(error: Exception) -> bool:
    """Whether the fault is in this run only (a damaged folder, a value that MLflow rejects), and others may work."""
    return isinstance(error, KeyError | TypeError | ValueError) or "INVALID_PARAMETER_VALUE" in str(error)


def _modest() -> None:
    """Set MLflow's environment: no telemetry, and short timeouts for a server that is down."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "8",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    }.items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    main()
