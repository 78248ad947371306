"""Prefect's database on a server: what is wrong with it is told in one line before anything is started."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from nightreel.errors import UserError
from nightreel.orchestration.prefect import database
from nightreel.orchestration.prefect.run_server import free_port
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
