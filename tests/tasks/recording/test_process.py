"""The process that records, as it is started at night: what MLflow's side may be like, told in one line, in time.

Servers here are real sockets of this machine; nothing is mocked.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.tracking import outbox
from tests.tasks.recording.nights import ROOT, Run

pytestmark = pytest.mark.end_to_end
WHOLE_S = 30.0  # for which a server that is of no use may keep a night


def record(run: Run, *words: str, **variables: str) -> tuple[list[str], float]:
    """Lines of `python -m tasks.record`, which has to end well, and the seconds that it took."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(run.state), **variables}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tasks.record", *words], cwd=run.folder, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.splitlines(), time.monotonic() - began


def out(run: Run) -> bytes:
    return (run.folder / "data/record/run.json").read_bytes()


@contextmanager
def serving(status: int, body: bytes) -> Iterator[str]:
    """A web server that gives the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://somebody:secret@127.0.0.1:{probe.getsockname()[1]}"


SERVERS: dict[str, tuple[Callable[[], object], str]] = {
    "nobody": (nobody, "does not answer. Check the address and the server."),
    "silent": (silent, "does not answer"),
    "403": (lambda: serving(403, b"Invalid Host header"), "refuses us. Check MLFLOW_TRACKING_USERNAME"),
    "500": (lambda: serving(500, b"oops"), "fails with an error of its own. Its log says why."),
    "another service": (lambda: serving(200, b"<html>Welcome</html>"), "answers, but not as MLflow does."),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_is_of_no_use_is_told_in_one_line_and_recorded_later(run: Run, kind: str) -> None:
    make, meaning = SERVERS[kind]
    run.ended("r1")
    with make() as uri:  # type: ignore[attr-defined]
        told, seconds = record(run, MLFLOW_TRACKING_URI=uri)
        assert len(told) == 1 and told[0].startswith("not recorded: MLflow at http://127.0.0.1:"), told
        assert meaning in told[0] and "secret" not in told[0]
        assert (
            f"It waits in {outbox.folder(run.state)}: the next run, or `dvc repro record`, records what waits."
            in told[0]
        )
    assert json.loads((run.state / "mlflow" / "outcome.json").read_text())["line"] == told[0]
    assert (run.state / "reports" / "r1.html").is_file()
    missed = out(run)
    run.ended("r2", seed=1)
    told, working = record(run)
    assert seconds < WHOLE_S + working, "beyond what two runs take with the import of MLflow, on a machine as busy"
    assert told == ["recorded too, from earlier: MLflow run r1", "recorded as MLflow run r2 in experiment films"]
    assert outbox.waiting(run.state) == []
    one, two = (run.runs(recipe=recipe, kind="run")[0] for recipe in ("r1", "r2"))
    assert one.info.start_time < two.info.start_time and one.data.metrics["evaluate.gate.ndcg_at_10"] == 0.25
    run.ended("r1")
    record(run)
    assert out(run) == missed, "what DVC keeps is the same whether MLflow answered or not"


def test_a_database_in_use_for_a_minute_is_waited_for(run: Run) -> None:
    run.ended("r1")
    holder = sqlite3.connect(run.state / "mlflow" / "mlflow.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(60.0, holder.rollback).start()
    told, seconds = record(run)
    database = run.state / "mlflow" / "mlflow.db"
    assert told == [
        f"MLflow's database {database} is in use by another process; waiting for it",
        "recorded as MLflow run r1 in experiment films",
    ]
    assert seconds > 55 and len(run.runs(recipe="r1", kind="run")) == 1


def broken(run: Run) -> dict[str, str]:
    (run.state / "mlflow" / "mlflow.db").write_bytes(b"not a database, but long enough to be looked at" * 99)
    return {}


def read_only(run: Run) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": f"sqlite:///file:{run.state}/mlflow/mlflow.db?mode=ro&uri=true"}


def of_another_release(run: Run) -> dict[str, str]:
    with sqlite3.connect(run.state / "mlflow" / "mlflow.db") as database:
        database.execute("update alembic_version set version_num = 'abcdef'")
    return {}


def no_room(run: Run) -> dict[str, str]:
    """/dev/full is a disk without space: a file below it can't be made."""
    with sqlite3.connect(run.state / "mlflow" / "mlflow.db") as database:
        database.execute("insert into experiments (name, artifact_location, lifecycle_stage, workspace) "
                         "values ('films', 'file:///dev/full/artifacts', 'active', 'default')")  # fmt: skip
    return {}


def in_a_folder(run: Run) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": "runs"}


def not_installed(run: Run) -> dict[str, str]:
    fake = run.folder / "fake"
    fake.mkdir()
    (fake / "mlflow.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')\n")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{fake}"}


def dying(run: Run) -> dict[str, str]:
    fake = run.folder / "fake"
    fake.mkdir()
    (fake / "mlflow.py").write_text("import os; os.abort()\n")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{fake}"}


@pytest.mark.parametrize(
    ("make", "meaning"),
    [
        (broken, "mlflow.db is broken. Restore it from a backup, or move it away: a new one is begun then."),
        (read_only, "can't be written. Give this user the right to, file and folder."),
        (of_another_release, "was written by another release of MLflow."),
        (no_room, "/dev/full/artifacts"),
        (
            in_a_folder,
            "MLflow keeps no runs in folders any more. Give a database: MLFLOW_TRACKING_URI=sqlite:///runs.db.",
        ),
        (not_installed, "MLflow can't be imported here (libcudart.so.12: cannot open shared object file)."),
        (dying, "ended with exit code -6."),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_an_mlflow_that_does_not_work_is_told_in_one_line(
    run: Run, make: Callable[[Run], dict[str, str]], meaning: str
) -> None:
    run.ended("r1")
    told, _ = record(run, **make(run))
    assert len(told) == 1 and told[0].startswith("not recorded: ") and meaning in told[0], told
    assert len(outbox.waiting(run.state)) == 1 and json.loads(out(run))["recipe"] == "r1"


def test_a_relative_database_lies_where_the_command_was_typed(run: Run) -> None:
    run.ended("r1")
    record(run, MLFLOW_TRACKING_URI="sqlite:///mine.db")
    assert (run.folder / "mine.db").is_file() and not (run.state / "mlflow" / "mine.db").exists()


def test_a_killed_record_goes_on(run: Run) -> None:
    """Killed at several moments: the next one ends with one run, whole."""
    run.ended("r1")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(run.state)}
    database = run.state / "mlflow" / "mlflow.db"
    for least in (1, 5):  # runs that are there when it is killed
        child = subprocess.Popen([sys.executable, "-m", "tasks.record"], cwd=run.folder, env=environment,
                                 stdout=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        while child.poll() is None and _count(database) < least:
            time.sleep(0.01)
        os.killpg(child.pid, 9)
        child.wait()
    assert [entry.name for entry in outbox.waiting(run.state)] == ["r1"]
    told, _ = record(run)
    assert told == ["recorded as MLflow run r1 in experiment films"]
    assert len(run.runs(kind="run")) == 1 and len(run.runs(kind="stage")) == 8
    assert run.alias("champion") is not None and not list(outbox.folder(run.state).glob("*"))


def _count(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return int(connection.execute("select count(*) from runs").fetchone()[0])
