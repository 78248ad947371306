"""The database server that the operator has named for Prefect, looked at before a Prefect server is started on it.

Prefect itself would end with a traceback in its log, or try for minutes. It creates and migrates its tables when it
starts, and two servers that do so at once on a new database stop one another.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from nightreel import database_server
from nightreel.errors import UserError

URLS = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
"""Prefect's variable for the database, and its name in earlier releases."""
CONNECT_S = 8
_TLS = "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_ENABLED"
_DRIVER = "postgresql+asyncpg"
_LOCK = 0x6E696768740001  # any number that other programs don't use: "night", 1
_AGAIN_S = 0.2
T = TypeVar("T")


def require(environment: Mapping[str, str]) -> None:
    """Check that Prefect's database can be used, if it is on a database server that is named by its address.

    Args:
        environment: Environment variables of the Prefect server that is to be started.

    Raises:
        UserError: The database does not respond, does not let the user in, or was migrated by a later release.
    """
    variable = next((name for name in URLS if environment.get(name)), None)
    if variable is None or not database_server.is_named(environment[variable]):
        return
    url = environment[variable]
    place = f"Prefect's database {database_server.shown(url)}"
    if not url.startswith(f"{_DRIVER}://"):
        raise UserError(f"{place}: Prefect takes PostgreSQL through asyncpg only. Begin {variable} with {_DRIVER}://.")
    if environment.get(_TLS):
        return  # its certificates are Prefect's to load
    try:
        revision = asyncio.run(_revision(url))
    except Exception as error:
        raise UserError(f"{place} {_means(error, url)} (in {variable}).") from None
    if revision is not None and revision not in known_revisions():
        raise UserError(
            f"{place} was migrated by a later release of Prefect (to {revision}). Install that release, or name "
            f"another database in {variable}."
        )


@contextmanager
def one_at_a_time(environment: Mapping[str, str], patience_s: float) -> Iterator[None]:
    """Hold a lock of the database during the block, in which a Prefect server may create or migrate its tables.

    Two checkouts, even on two machines, would otherwise do that to a new database at the same time. The lock is
    PostgreSQL's; with any other database, and with certificates that only Prefect can load, nothing is held.

    Args:
        environment: Environment variables of the Prefect server that is to be started.
        patience_s: How long another one may take, in seconds.

    Raises:
        UserError: It took longer, or the database can't be used.
    """
    url = next((environment[name] for name in URLS if environment.get(name)), "")
    if not url.startswith(f"{_DRIVER}://") or environment.get(_TLS):
        yield
        return
    loop = asyncio.new_event_loop()  # of its own: a connection lives in one loop, and here over the whole block
    try:
        ends = _finished(loop, _locked(url, patience_s), url)
        try:
            yield
        finally:
            with suppress(Exception):  # the lock ends with the connection, whoever ended that
                loop.run_until_complete(ends())
    finally:
        loop.close()


def _finished(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], url: str) -> T:
    try:
        return loop.run_until_complete(work)
    except Exception as error:
        place = f"Prefect's database {database_server.shown(url)}"
        if isinstance(error, TimeoutError) and error.args == (_LOCK,):
            raise UserError(
                f"{place}: another Prefect server is being started on it, and does not come to an end. End that one, "
                "or try again later."
            ) from None
        raise UserError(f"{place} {_means(error, url)}.") from None


async def _locked(url: str, patience_s: float) -> Callable[[], Coroutine[Any, Any, None]]:
    """Take the lock; returns what releases it."""
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    # Prefect's migrations create indexes concurrently, and so wait for every transaction and statement that began
    # before. Therefore neither the holder is in a transaction nor does a statement wait for the lock.
    engine = create_async_engine(
        url, connect_args={"timeout": CONNECT_S}, poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    connection, deadline = await engine.connect(), time.monotonic() + patience_s
    try:
        while not await connection.scalar(text("select pg_try_advisory_lock(:key)"), {"key": _LOCK}):
            if time.monotonic() >= deadline:
                raise TimeoutError(_LOCK)
            await asyncio.sleep(_AGAIN_S)
    except BaseException:
        await connection.close()
        raise
    return connection.close


def _means(error: Exception, url: str) -> str:
    """What an error of the driver means, without secrets and without a full stop."""
    said = database_server.redacted(f"{type(error).__name__}: {error}", [url])
    return database_server.meaning(said) or f"can't be used: {said.splitlines()[0][:200].rstrip('.')}"


async def _revision(url: str) -> str | None:
    """The migration that the database is at; None for a new one."""
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url, connect_args={"timeout": CONNECT_S})
    try:
        async with engine.connect() as connection:
            if await connection.scalar(text("select to_regclass('alembic_version')")) is None:
                return None
            found = await connection.scalar(text("select version_num from alembic_version"))
            return None if found is None else str(found)
    finally:
        await engine.dispose()


def known_revisions() -> frozenset[str]:
    """The migrations of the installed Prefect, read from their files: importing Prefect takes a second."""
    package = importlib.util.find_spec("prefect")
    assert package is not None and package.origin is not None
    folder = Path(package.origin).parent / "server" / "database" / "_migrations" / "versions" / "postgresql"
    texts = (path.read_text("utf-8") for path in folder.glob("*.py"))
    return frozenset(
        found[1] for text in texts if (found := re.search(r'^revision\b.*= ["\'](\w+)', text, re.MULTILINE))
    )
