"""The database server that the operator has named for Prefect, looked at before a Prefect server is started on it.

Prefect itself would end with a traceback in its log, or try for minutes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

from nightreel import database_server
from nightreel.errors import UserError

URLS = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
"""Prefect's variable for the database, and its name in earlier releases."""
CONNECT_S = 8
_TLS = "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_ENABLED"
_DRIVER = "postgresql+asyncpg"


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
        said = database_server.redacted(f"{type(error).__name__}: {error}", [url])
        means = database_server.meaning(said) or f"can't be used: {said.splitlines()[0][:200].rstrip('.')}"
        raise UserError(f"{place} {means} (in {variable}).") from None
    if revision is not None and revision not in known_revisions():
        raise UserError(
            f"{place} was migrated by a later release of Prefect (to {revision}). Install that release, or name "
            f"another database in {variable}."
        )


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
