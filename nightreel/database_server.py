"""Addresses and faults of a database server, such as PostgreSQL: shown without secrets, explained in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

SCHEME = re.compile(r"(postgres|postgresql|mysql|mssql|oracle)(\+\w+)?://")
KEPT = ("host", "port")
"""Parts of an address's query that say where the server is; others may be secret."""
# Patterns of what a driver says → what it means, and what to do. The first match is used.
_MEANINGS = (
    ("password authentication failed|no password supplied", "refuses this user or password. Correct them"),
    ("no pg_hba.conf entry", "does not let this user in from here. Add a line to its pg_hba.conf"),
    ('(database|role) ".*" does not exist', "does not have this database or user. Create it: createuser, createdb"),
    ("too many clients|connection slots are reserved", "has no connection left. Raise its max_connections"),
    ("permission denied", "does not let this user create tables. Make the user the database's owner"),
    ("is (starting up|shutting down)|in recovery mode", "is starting or stopping. Try again in a moment"),
    ("SSL (upgrade|negotiation)", "is no PostgreSQL server, or has no TLS. Check host, port and TLS"),
    ("could not translate host|Name or service not known|getaddrinfo", "has an unknown host. Correct it"),
    (
        "refused|Connect call failed|timed out|timeout expired|Timeout|unreachable|No such file|closed the connection",
        "does not respond. Start it, or correct its address",
    ),
    (
        "Can't load plugin: sqlalchemy.dialects",
        "has a scheme that SQLAlchemy does not know. Begin it with postgresql://",
    ),
    (
        r"Could not parse SQLAlchemy URL|invalid literal for int\(\)",
        "is not of the form postgresql://user:password@host:port/database. Correct it",
    ),
)


def is_named(uri: str) -> bool:
    """Whether an address names a database server.

    Example:
        >>> is_named("postgresql://films@db.example/mlflow"), is_named("sqlite:///runs.db")
        (True, False)
    """
    return SCHEME.match(uri) is not None


def shown(uri: str) -> str:
    """An address for a message: no user, no password, and of its query only where the server is.

    Passwords are often pasted without escaping, so everything before the last `@` counts as one.

    Args:
        uri: An address with a scheme, of a server of any kind.

    Example:
        >>> shown("postgresql://me:p/w@x@db.example/mlflow?sslmode=require")
        'postgresql://db.example/mlflow'
        >>> shown("postgresql+asyncpg://me:secret@/prefect?host=/run/postgresql&password=secret")
        'postgresql+asyncpg:///prefect?host=/run/postgresql'
    """
    scheme, colon, rest = uri.partition("://")
    # A path, or a server of this machine, has no user; a folder's name may have an @.
    place, _, query = (rest if rest.startswith("/") else rest.rpartition("@")[2]).partition("?")
    kept = [part for part in query.partition("#")[0].split("&") if part.partition("=")[0] in KEPT]
    return scheme + colon + place.partition("#")[0] + ("?" + "&".join(kept) if kept else "")


def redacted(text: str, uris: Sequence[str]) -> str:
    """A text of another program, without the user and password of these addresses.

    Example:
        >>> redacted("can't use postgresql://me:secret@db/x: bad secret", ["postgresql://me:secret@db/x"])
        "can't use postgresql://db/x: bad ***"
    """
    for uri in uris:
        text = text.replace(uri, shown(uri))
        account = uri.partition("://")[2].rpartition("@")[0]
        password = account.partition(":")[2]
        for secret in sorted({account, password, unquote(password)} - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
    return text


def meaning(error: str) -> str | None:
    """What a driver's error means and what to do, without a full stop; None if it is not known.

    Example:
        >>> meaning('FATAL:  password authentication failed for user "films"')
        'refuses this user or password. Correct them'
    """
    return next((means for pattern, means in _MEANINGS if re.search(pattern, error)), None)
