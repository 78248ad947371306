"""Servers and databases that are of no use: each told in one line that says what to do, and the run waits.

Servers here are real sockets of this machine; nothing is mocked.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from nightreel.tracking import faults, outbox
from tests.tracking import servers
from tests.tracking.nights import Run

pytestmark = pytest.mark.end_to_end
Main = Callable[..., None]


def told_at(uri: str, run: Run, main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line about a night that was to be recorded there; it waits, and DVC gets what it always gets."""
    run.ended("r1")
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    capsys.readouterr()
    main()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("not recorded: ") and "It waits in " in line
    assert len(outbox.waiting(run.state)) == 1
    assert json.loads(Path("data/record/run.json").read_text())["recipe"] == "r1"
    return line


SERVERS: dict[str, tuple[Callable[[], AbstractContextManager[str]], str]] = {
    "nobody": (servers.nobody, "does not respond. Check the address and the server."),
    "403": (
        lambda: servers.answering(403, b"Invalid Host header"),
        "denies access. Check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or its --allowed-hosts.",
    ),
    "500": (lambda: servers.answering(500, b"oops"), "fails with an internal error. See the server's log."),
    "another service": (
        lambda: servers.answering(200, b"<html>Welcome</html>"),
        "responds, but is no MLflow server. Check the address: another service may use it.",
    ),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_is_of_no_use(
    run: Run, main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    make, meaning = SERVERS[kind]
    with make() as uri:
        line = told_at(uri, run, main, monkeypatch, capsys)
    assert line.startswith("not recorded: MLflow at http://127.0.0.1:") and meaning in line
    assert "secret" not in line


def broken(run: Run) -> str:
    (run.state / "mlflow" / "mlflow.db").write_bytes(b"not a database, but long enough to be looked at" * 99)
    return ""


def read_only(run: Run) -> str:
    return f"sqlite:///file:{run.state}/mlflow/mlflow.db?mode=ro&uri=true"


def of_another_release(run: Run) -> str:
    with sqlite3.connect(run.state / "mlflow" / "mlflow.db") as database:
        database.execute("update alembic_version set version_num = 'abcdef'")
    return ""


def no_room(run: Run) -> str:
    """/dev/full is a disk without space: a file below it can't be made."""
    with sqlite3.connect(run.state / "mlflow" / "mlflow.db") as database:
        database.execute("insert into experiments (name, artifact_location, lifecycle_stage, workspace) "
                         "values ('films', 'file:///dev/full/artifacts', 'active', 'default')")  # fmt: skip
    return ""


def in_a_folder(_: Run) -> str:
    return "runs"


@pytest.mark.parametrize(
    ("make", "meaning"),
    [
        (broken, "mlflow.db is damaged. Restore it from a backup, or move it away to start a new one."),
        (read_only, "can't be written. Give this user write permission for the file and its folder."),
        (of_another_release, "was written by another release of MLflow."),
        (no_room, "/dev/full/artifacts"),
        (in_a_folder, "stores runs in folders. Use a database: MLFLOW_TRACKING_URI=sqlite:///runs.db."),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_a_database_that_is_of_no_use(
    run: Run,
    main: Main,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Run], str],
    meaning: str,
) -> None:
    assert meaning in told_at(make(run), run, main, monkeypatch, capsys)


def test_a_place_for_files_on_s3_that_is_of_no_use(
    run: Run,
    main: Main,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moto: dict[str, str],
) -> None:
    for name, value in {**moto, "MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://nothing/mlflow"}.items():
        monkeypatch.setenv(name, value)
    assert "MLflow's folder for files is in a bucket that does not exist. Create it." in told_at(
        "", run, main, monkeypatch, capsys
    )
    for error, meaning in (
        (EndpointConnectionError(endpoint_url=moto["AWS_ENDPOINT_URL"]), "does not respond. Check AWS_ENDPOINT_URL"),
        (NoCredentialsError(), "can't be written. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they permit"),
    ):  # MLflow keeps its first client, so that these would need a process each
        assert faults.explain(error, "sqlite:////data/runs.db") == f"MLflow's folder for files {meaning}"
