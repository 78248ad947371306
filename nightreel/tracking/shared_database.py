"""A first connection to a database server with MLflow's tables: it must respond, and only one process migrates it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

CONNECT_S = 8
"""How long a server may take to respond, in seconds. MLflow itself would try again for minutes."""
_LOCK = 0x6E696768747265  # any number that other programs don't use: "nightre"


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Hold a lock of the database during the block, in which MLflow may create or migrate its tables.

    Two checkouts, even on two machines, would otherwise do that to a new database at the same time. Other servers than
    PostgreSQL are only connected to.

    Args:
        uri: The address, as SQLAlchemy takes it.

    Raises:
        ModuleNotFoundError: The driver is not installed.
        sqlalchemy.exc.SQLAlchemyError: The server does not respond, or lets this user not in.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    own = {"connect_timeout": CONNECT_S} if uri.startswith("postgresql") else {}
    engine = create_engine(uri, connect_args=own, poolclass=NullPool, hide_parameters=True)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Of a transaction, not of a session, which a connection pooler may give to others.
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield
