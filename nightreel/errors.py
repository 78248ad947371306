"""Errors that are shown to users as one message, without a traceback."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """An error that the user can correct. The message says what was wrong, where, and what to do.

    Base class of all errors that Nightreel raises on purpose, such as StoreError and BundleError.

    Example:
        >>> try:
        ...     raise UserError("k is 0. Give 1 or more.")
        ... except UserError as error:
        ...     print(f"error: {error}")
        error: k is 0. Give 1 or more.
    """


class TemporaryError(UserError):
    """A transient failure of a network or a server. Retrying may help; the nightly flow retries."""


def listed(entries: Sequence[str], most: int = 5) -> str:
    """The first entries, for a message.

    Example:
        >>> listed(["a", "b", "c"], 2), listed(["a", "b"], 2)
        ('a, b, …', 'a, b')
    """
    return ", ".join(entries[:most]) + (", …" if len(entries) > most else "")


def not_permitted(error: OSError, path: Path | None = None) -> str:
    """A message for a file that this user may not read or write: which, whose it is, and what to do.

    Args:
        error: What the system said.
        path: The file, if the error names none.
    """
    file = Path(str(error.filename)) if error.filename else path
    if file is None:
        return f"{error.strerror or error}: this user lacks a permission. Run with --traceback to see where."
    owner = _owner(file)
    whose = f"{file}: {error.strerror}" + (f"; it belongs to {owner}" if owner else "")
    return (
        f"{whose}, and this is {_name(os.getuid())}. Run as the user to whom it belongs, have access granted, or name "
        "a state directory of your own in NIGHTREEL_STATE."
    )


FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def naming_a_full_disk(kept: Path | None = None) -> Iterator[None]:
    """Turn a full disk, or a used-up quota, into a UserError that names the file.

    Args:
        kept: What was being written, if the system's error names no file.

    Example:
        >>> try:
        ...     with naming_a_full_disk():
        ...         raise OSError(errno.ENOSPC, "No space left on device", "notes.json")
        ... except UserError as error:
        ...     print(f"error: {error}")
        error: notes.json: no space left on the device. Free some space and run again; nothing was published.
    """
    try:
        yield
    except OSError as error:
        # Errors of a whole copied folder have no number of their own.
        if error.errno not in FULL and not any(os.strerror(number) in str(error) for number in FULL):
            raise
        file = error.filename2 or error.filename or kept
        where = f"{file}: no" if file else "No"
        remedy = "space left on the device. Free some space and run again; nothing was published."
        raise UserError(f"{where} {remedy}") from error


def _owner(file: Path) -> str:
    """Name of the owner of a file, or of the nearest folder above that this user may look at."""
    for known in (file, *file.parents):
        try:
            return _name(known.stat().st_uid)
        except OSError:
            continue
    return ""


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


EXTRAS = {
    "s3": ("boto3", "botocore"),
    "service": ("fastapi", "starlette", "uvicorn", "prometheus_client"),
    "media": ("av", "faster_whisper", "efficientnet_lite_pytorch"),
    "docs": ("mkdocs",),
}
"""Modules of the extras that a command names; those of all others come with `pipeline`."""


def missing_extra(error: ModuleNotFoundError, what: str) -> UserError:
    """The error for a module that is not installed: what needs it, and the extra that brings it.

    Args:
        error: What the import raised.
        what: What needs the module.

    Returns:
        The error to raise.

    Raises:
        ModuleNotFoundError: The module is one of Nightreel's own, so that nothing is missing but code.

    Example:
        >>> print(missing_extra(ModuleNotFoundError(name="boto3.session"), "a store on S3"))
        a store on S3 needs boto3, which is not installed. Install it: pip install 'nightreel[s3]'
    """
    module = (error.name or "").partition(".")[0]
    if not module or module in ("nightreel", "tasks", "flows"):
        raise error
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), "pipeline")
    return UserError(f"{what} needs {module}, which is not installed. Install it: pip install 'nightreel[{extra}]'")
