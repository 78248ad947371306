"""Explains an MLflow error in one line: what failed, where, and what to do."""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Iterator

from nightreel import database_server
from nightreel.tracking.address import shown

BUSY = ("database is locked", "database table is locked")
# Texts in an error → what they mean, and what to do. The first match is used.
_DATABASE = (
    (BUSY, "is in use by another process (a backup, a database browser). Close that process"),
    (
        ("readonly database", "read-only"),
        "can't be written. Give this user write permission for the file and its folder",
    ),
    (("disk is full", "No space left"), "has no space left on its disk. Free some"),
    (
        ("not a database", "malformed", "no such table", "no such column"),
        "is damaged. Restore it from a backup, or move it away to start a new one",
    ),
    (
        ("out-of-date database schema", "Can't locate revision", "Detected out-of-date"),
        "was written by another release of MLflow. Run `mlflow db upgrade` on it, or install that release",
    ),
    (("unable to open database",), "can't be opened. Check that its folder exists and can be written"),
)
_SILENT = (
    "Connection refused",
    "Connection aborted",
    "NameResolution",
    "Network is unreach",
    "timed out",
    "Max retries",
)
_REFUSED = ("error code 401", "error code 403", "401 Client", "403 Client", "Unauthorized", "PERMISSION_DENIED")
_BUCKET = (
    (("NoSuchBucket",), "is in a bucket that does not exist. Create it"),
    (
        ("Unable to locate credentials", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"),
        "can't be written. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they permit",
    ),
    (("Could not connect to the endpoint",), "does not respond. Check AWS_ENDPOINT_URL"),
)
_DRIVERS = {"psycopg2": "'nightreel[postgres]'", "psycopg": "'psycopg[binary]'", "MySQLdb": "mysqlclient"}
_SERVER = (
    (_REFUSED, "denies access. Check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or its --allowed-hosts"),
    (("too many 50", "error code 50", "INTERNAL_ERROR"), "fails with an internal error. See the server's log"),
    (_SILENT, "does not respond. Check the address and the server"),
    (
        ("JSON", "not in the expected format", "Expecting value", "error code 404"),
        "responds, but is no MLflow server. Check the address: another service may use it",
    ),
)


def explain(error: BaseException, uri: str) -> str:
    """Return the cause of an error, its place, and what to do.

    Args:
        error: The exception of MLflow, the database driver or the network.
        uri: The address of MLflow's database or server.

    Returns:
        One line that ends without a full stop.
    """
    said = database_server.redacted(" ".join(str(each) for each in _chain(error)), [uri])
    local, remote = uri.startswith("sqlite"), database_server.is_named(uri)
    place = f"MLflow's database {shown(uri)}" if local or remote else f"MLflow at {shown(uri)}"
    missing = next((each for each in _chain(error) if isinstance(each, ImportError)), None)
    if missing is not None and remote and missing.name in _DRIVERS:
        return f"{place} needs the driver {missing.name}. Install it: pip install {_DRIVERS[missing.name]}"
    if missing is not None:
        return f"MLflow can't be imported here ({_first(error, uri)}). Install it: pip install 'nightreel[pipeline]'"
    bucket = next((meaning for signs, meaning in _BUCKET if any(sign in said for sign in signs)), None)
    if bucket is not None:
        return f"MLflow's folder for files {bucket}"
    full = next((e for e in _chain(error) if isinstance(e, OSError) and e.errno == errno.ENOSPC), None)
    if full is not None:
        return f"no space left for MLflow's files at {full.filename or shown(uri)}. Free some"
    if "maintenance mode" in said:
        return (
            f"{place}: MLflow no longer stores runs in folders. Use a database: MLFLOW_TRACKING_URI=sqlite:///runs.db"
        )
    for signs, meaning in _DATABASE if local or remote else (*_SERVER, *_DATABASE):
        if any(sign in said for sign in signs):
            return f"{place} {meaning}"
    if remote and (known := database_server.meaning(said)):
        return f"{place} {known}"
    denied = next((e for e in _chain(error) if isinstance(e, OSError) and e.filename), None)
    if denied is not None:
        return f"{denied.filename}: {denied.strerror}. MLflow stores files there; give this user write permission"
    return f"{place}: {type(error).__name__}: {_first(error, uri)}"


def print_traceback(uri: str) -> None:
    """Print the traceback of the exception that is being handled to stderr, without the address's password."""
    print(database_server.redacted(traceback.format_exc(), [uri]), file=sys.stderr, flush=True)


def busy(error: BaseException) -> bool:
    """Whether the error is temporary: another process uses the database."""
    return any(sign in str(each) for each in _chain(error) for sign in BUSY)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its cause, the cause of that, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _first(error: BaseException, uri: str) -> str:
    """The first line of its message, without colours and passwords, at most 200 characters."""
    text = database_server.redacted(str(error), [uri])
    lines = re.sub(r"\x1b\[\d*m", "", text).strip().splitlines() or [""]
    return lines[0][:200].rstrip(".")
