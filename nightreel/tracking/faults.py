"""What went wrong with MLflow, in a line: what, where, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from nightreel.tracking.address import shown

BUSY = ("database is locked", "database table is locked")
# What an error says → what that means, and what to do. The first that fits is told.
_DATABASE = (
    (BUSY, "is in use by another process (a backup, a database browser). Let that end"),
    (("readonly database", "read-only"), "can't be written. Give this user the right to, file and folder"),
    (("disk is full", "No space left"), "has no space left on its disk. Free some"),
    (
        ("not a database", "malformed", "no such table", "no such column"),
        "is broken. Restore it from a backup, or move it away: a new one is begun then",
    ),
    (
        ("out-of-date database schema", "Can't locate revision", "Detected out-of-date"),
        "was written by another release of MLflow. Run `mlflow db upgrade` on it, or install that release",
    ),
    (("unable to open database",), "can't be opened. Check that its folder is there and may be written"),
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
_SERVER = (
    (_REFUSED, "refuses us. Check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or its --allowed-hosts"),
    (("too many 50", "error code 50", "INTERNAL_ERROR"), "fails with an error of its own. Its log says why"),
    (_SILENT, "does not answer. Check the address and the server"),
    (
        ("JSON", "not in the expected format", "Expecting value", "error code 404"),
        "answers, but not as MLflow does. Check the address: another service may have it",
    ),
)


def explain(error: BaseException, uri: str) -> str:
    """The cause of an error, where it lies, and what to do.

    Args:
        error: What MLflow, its database's driver or the network raised.
        uri: The address of MLflow's database or server.

    Returns:
        One line that ends without a full stop.
    """
    said = " ".join(str(each) for each in _chain(error))
    local = uri.startswith("sqlite")
    place = f"MLflow's database {shown(uri)}" if local else f"MLflow at {shown(uri)}"
    if any(isinstance(each, ImportError) for each in _chain(error)):
        return f"MLflow can't be imported here ({_first(error)}). Install it: pip install 'nightreel[pipeline]'"
    full = next((e for e in _chain(error) if isinstance(e, OSError) and e.errno == errno.ENOSPC), None)
    if full is not None:
        return f"no space left for MLflow's files at {full.filename or shown(uri)}. Free some"
    if "maintenance mode" in said:
        return (
            f"{place}: MLflow keeps no runs in folders any more. Give a database: MLFLOW_TRACKING_URI=sqlite:///runs.db"
        )
    for signs, meaning in _DATABASE if local else (*_SERVER, *_DATABASE):
        if any(sign in said for sign in signs):
            return f"{place} {meaning}"
    denied = next((e for e in _chain(error) if isinstance(e, OSError) and e.filename), None)
    if denied is not None:
        return f"{denied.filename}: {denied.strerror}. MLflow's files go there; give this user the right to write"
    return f"{place}: {type(error).__name__}: {_first(error)}"


def busy(error: BaseException) -> bool:
    """Whether another process has the database in use, which passes."""
    return any(sign in str(each) for each in _chain(error) for sign in BUSY)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it arose from, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _first(error: BaseException) -> str:
    """The first line of what it says, without colours and at most 200 characters."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).strip().splitlines() or [""]
    return lines[0][:200].rstrip(".")
