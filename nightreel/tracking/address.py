"""Where runs are recorded: MLFLOW_TRACKING_URI, made absolute, and shown without credentials."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_SQLITE = re.compile(r"sqlite(\+\w+)?:///(?!/|file:|:memory:|\?|$)(?P<path>.+)")


def tracking_uri(state: Path) -> str:
    """MLFLOW_TRACKING_URI, else the SQLite database in the state directory."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    return absolute(named, Path.cwd()) if named else f"sqlite:///{state / 'mlflow' / 'mlflow.db'}"


def absolute(uri: str, here: Path) -> str:
    """Make a relative path in an address absolute; other addresses are returned unchanged.

    Args:
        uri: `sqlite:///runs.db`, `file:runs`, `./runs`, `http://…`, or a name that MLflow knows (`databricks`).
        here: The folder that the path is relative to.

    Returns:
        An address that does not depend on the working directory.
    """
    found = _SQLITE.fullmatch(uri)
    if found:
        return uri[: found.start("path")] + str((here / found["path"]).resolve())
    named = re.match(r"file:(//)?(?!/)", uri)
    if named:
        return "file://" + str((here / uri[named.end() :]).resolve())
    if re.match(r"[\w+.-]+:", uri) or uri.split(":")[0] in ("databricks", "databricks-uc", "uc"):
        return uri
    return str((here / Path(uri).expanduser()).resolve())


def database_file(uri: str) -> Path | None:
    """The file of a SQLite address; None for any other."""
    found = re.fullmatch(r"sqlite(?:\+\w+)?:///(/[^?]*)(?:\?.*)?", uri)
    return Path(found[1]) if found else None


def shown(uri: str) -> str:
    """Format an address for a message: the file of a database, and no user or password."""
    file = database_file(uri)
    if file is not None:
        return str(file)
    if uri.startswith("sqlite"):
        return uri.partition("?")[0]
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
