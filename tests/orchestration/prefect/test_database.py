"""Prefect's database on a server: what is wrong with it is told in one line before anything is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nightreel.errors import UserError
from nightreel.orchestration.prefect import database
from nightreel.orchestration.prefect.run_server import free_port
from tests.support import toy
from tests.support.postgres import PASSWORD, Postgres
from tests.tracking import servers

NAME = database.URLS[0]
SERVER = pytest.mark.end_to_end  # asks a server that takes a second to start


def told(url: str) -> str:
    """The whole message; it has no password."""
    with pytest.raises(UserError) as caught:
        database.require({NAME: url})
    message = str(caught.value)
    assert message.startswith("Prefect's database postgresql") and "wrong" not in message and PASSWORD not in message
    return message


@SERVER
def test_a_database_that_responds_is_fine_new_or_not(postgres: Postgres) -> None:
    postgres.create("prefect_fine")
    database.require({NAME: postgres.prefect("prefect_fine")})
    postgres.sql("prefect_fine", "create table alembic_version (version_num text)")
    known = min(database.known_revisions())
    postgres.sql("prefect_fine", f"insert into alembic_version values ('{known}')")
    database.require({NAME: postgres.prefect("prefect_fine")})


@SERVER
def test_a_server_that_is_of_no_use_is_told_with_what_to_do(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"postgresql+asyncpg://127.0.0.1:{postgres.port}"
    refused = told(postgres.prefect("postgres", password="wr/ong"))
    assert refused == f"Prefect's database {place}/postgres refuses this user or password. Correct them (in {NAME})."
    assert "does not have this database or user. Create it: createuser, createdb" in told(postgres.prefect("nothing"))
    nobody = Postgres(free_port()).prefect("postgres")
    assert "does not respond. Start it, or correct its address" in told(nobody)
    monkeypatch.setattr(database, "CONNECT_S", 1)
    with servers.silent() as silent:
        assert "does not respond. Start it" in told(Postgres(urlsplit(silent).port or 0).prefect("postgres"))


@SERVER
def test_a_database_of_a_later_release_is_not_touched(postgres: Postgres) -> None:
    postgres.create("prefect_later")
    postgres.sql("prefect_later", "create table alembic_version as select 'abcdef' as version_num")
    message = told(postgres.prefect("prefect_later"))
    assert "was migrated by a later release of Prefect (to abcdef). Install that release" in message


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("postgresql://me:wrong@host/prefect", f"Begin {NAME} with postgresql+asyncpg://."),
        ("postgresql+psycopg2://me:wrong@host/prefect", "Prefect takes PostgreSQL through asyncpg only"),
        ("postgresql+asyncpg://me:wrong@host:54x2/prefect", "is not of the form postgresql://user:password@host:port"),
    ],
)
def test_an_address_that_prefect_does_not_take(url: str, means: str) -> None:
    assert means in told(url)


def test_only_a_database_server_is_looked_at() -> None:
    for environment in ({}, {NAME: ""}, {NAME: "sqlite+aiosqlite:////data/prefect.db"}):
        database.require(environment)
    assert len(database.known_revisions()) > 100


@SERVER
def test_a_database_is_made_by_one_server_at_a_time(postgres: Postgres) -> None:
    postgres.create("prefect_locked", "prefect_other")
    environment = {NAME: postgres.prefect("prefect_locked")}
    with database.one_at_a_time(environment, 1.0):
        with (
            pytest.raises(UserError, match=r"prefect_locked: another Prefect server is being started on it") as caught,
            database.one_at_a_time(environment, 0.2),
        ):
            raise AssertionError("both hold it")
        assert PASSWORD not in str(caught.value)
        with database.one_at_a_time({NAME: postgres.prefect("prefect_other")}, 0.2):
            postgres.sql("prefect_locked", "create table films (title text)")  # it locks no table
    with database.one_at_a_time(environment, 0.2):
        stop = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
        assert postgres.sql("prefect_locked", stop) == [(True,)], "the lock is gone before the block ends"
    with database.one_at_a_time({}, 0.0), database.one_at_a_time({NAME: "sqlite+aiosqlite:///films.db"}, 0.0):
        pass


START = """
import sys
from pathlib import Path
from nightreel.orchestration.prefect import run_server
from nightreel.orchestration.project import Project
from nightreel.stage import prepare_state

prepare_state(state := Path(sys.argv[1]))
with run_server.api(Project(Path.cwd(), state), 600.0) as ready:
    ready()
    print("ready")
"""


@SERVER
def test_two_first_starts_at_once_on_a_new_database(postgres: Postgres, tmp_path: Path) -> None:
    postgres.create("prefect_new")
    variables = toy.environment() | {NAME: postgres.prefect("prefect_new")}
    both = [
        subprocess.Popen([sys.executable, "-c", START, str(tmp_path / name)], env=variables, text=True,
            cwd=toy.HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for name in ("one", "other")
    ]  # fmt: skip
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0] and said == ["ready\n"] * 2, "\n".join(said)
