"""Where runs are recorded and where their files go: MLflow's variables, made absolute, shown without credentials."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nightreel import database_server

_SQLITE = re.compile(r"sqlite(\+\w+)?:///(?!/|file:|:memory:|\?|$)(?P<path>.+)")


def tracking_uri(state: Path) -> str:
    """The address in MLflow's variable for clients or its server, else the SQLite database in the state directory."""
    named = _named("MLFLOW_TRACKING_URI", "MLFLOW_BACKEND_STORE_URI")
    return absolute(named, Path.cwd()) if named else f"sqlite:///{state / 'mlflow' / 'mlflow.db'}"


def artifact_root(state: Path, uri: str) -> str | None:
    """Where the files of a new experiment go, by MLflow's own variables, else into the state directory.

    Args:
        state: The state directory.
        uri: The address of MLflow's database or server.

    Returns:
        A folder's address or `s3://bucket/prefix`; None if a server decides.
    """
    if database_file(uri) is None and not database_server.is_named(uri):
        return None
    named = _named("MLFLOW_DEFAULT_ARTIFACT_ROOT", "MLFLOW_ARTIFACTS_DESTINATION")
    return absolute(named, Path.cwd()) if named else (state / "mlflow" / "artifacts").as_uri()


def _named(*variables: str) -> str | None:
    """The first of these variables that is set. `mlflow-artifacts:/…` is a path on a server, of no use without it."""
    values = (os.environ.get(name) for name in variables)
    return next((value for value in values if value and not value.startswith("mlflow-artifacts:")), None)


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
    return database_server.shown(uri)


def without_secrets(uri: str) -> str:
    """An address to keep in a file: as it is for a file of this machine, as shown for a server.

    Example:
        >>> without_secrets("postgresql://me:secret@db.example/mlflow"), without_secrets("sqlite:////data/runs.db")
        ('postgresql://db.example/mlflow', 'sqlite:////data/runs.db')
    """
    return uri if uri.startswith("sqlite") or "://" not in uri else shown(uri)
