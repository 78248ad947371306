"""MLflow's runs on a database server: what is wrong is told in one line without a password, and one migrates at a time."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from nightreel.orchestration.prefect.run_server import free_port
from nightreel.tracking import faults, sender
from nightreel.tracking.shared_database import one_at_a_time
from tests.support.postgres import PASSWORD, Postgres

pytestmark = pytest.mark.end_to_end


def told(uri: str, state: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """The one line about an address of no use; neither it nor the log has the password."""
    try:
        sender.open_client(state, uri, lambda _: None)
    except Exception as error:
        faults.print_traceback(uri)
        line = faults.explain(error, uri)
    else:
        raise AssertionError("it worked")
    for text in (line, *capfd.readouterr()):
        assert "wr/ong" not in text and "wr%2Fong" not in text and PASSWORD not in text
    return line


def test_a_server_that_is_of_no_use(postgres: Postgres, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = f"MLflow's database postgresql://127.0.0.1:{postgres.port}"
    refused = told(postgres.url("postgres", password="wr/ong"), tmp_path, capfd)
    assert refused == f"{place}/postgres refuses this user or password. Correct them"
    missing = told(postgres.url("nothing"), tmp_path, capfd)
    assert missing == f"{place}/nothing does not have this database or user. Create it: createuser, createdb"
    nobody = told(Postgres(free_port()).url("postgres", password="wr/ong"), tmp_path, capfd)
    assert nobody.endswith("/postgres does not respond. Start it, or correct its address")
    odd = told(postgres.url("postgres", scheme="postgres"), tmp_path, capfd)
    assert odd.endswith("has a scheme that SQLAlchemy does not know. Begin it with postgresql://")


def test_a_driver_that_is_not_installed(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    line = told(postgres.url("postgres"), tmp_path, capfd)
    assert line.endswith("/postgres needs the driver psycopg2. Install it: pip install 'nightreel[postgres]'")


def test_a_new_database_is_made_once_and_one_of_another_release_is_told(
    postgres: Postgres, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    postgres.create("mlflow_shared")
    found = []

    def named(name: str) -> str:  # MLflow opens an address once in a process
        return postgres.url("mlflow_shared") + f"?application_name={name}"

    def open_it(name: str) -> None:  # each in a state directory of its own, as two checkouts have
        client = sender.open_client(tmp_path / name, named(name), lambda _: None)
        found.append(client.search_experiments()[0].name)

    both = [threading.Thread(target=open_it, args=(name,)) for name in ("one", "two")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found == ["Default", "Default"]
    postgres.sql("mlflow_shared", "update alembic_version set version_num = 'abcdef'")
    assert "was written by another release of MLflow. Run `mlflow db upgrade` on it" in told(
        named("three"), tmp_path, capfd
    )


def test_a_second_one_waits_for_the_first(postgres: Postgres) -> None:
    uri, order = postgres.url("postgres"), []

    def second() -> None:
        with one_at_a_time(uri):
            order.append("second")

    thread = threading.Thread(target=second)
    with one_at_a_time(uri):
        thread.start()
        thread.join(timeout=1.0)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
