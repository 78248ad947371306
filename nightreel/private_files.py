"""Files and folders that only their owner may read: generated keys and passwords, and what is loaded as code."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

OTHERS = 0o077
"""Permission bits of everybody but the owner."""
WRITABLE_BY_ALL = 0o002


def create(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file with mode 600, whole or not at all.

    Args:
        path: The file; its folder is created.
        content: What to write.
        replace: Replace a file that exists. By default it stays, so that two processes that create the same file at
            once end up with the same content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    working = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    handle = os.open(working, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if replace:
            working.replace(path)
        else:
            os.link(working, path)  # a link never replaces a file
    except FileExistsError:
        pass
    finally:
        working.unlink(missing_ok=True)


def readable_by_others(path: Path) -> bool:
    """Whether the mode of a file lets its group or other users read or change it.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return bool(path.stat().st_mode & OTHERS)


def create_folder(path: Path) -> None:
    """Create a folder with mode 700. One that exists is closed to others, and what they put there is removed."""
    path.mkdir(mode=0o700, exist_ok=True)
    if _is_mine(path) and readable_by_others(path):
        path.chmod(0o700)
        for foreign in [each for each in path.iterdir() if not all(map(_is_mine, (each, *each.rglob("*"))))]:
            shutil.rmtree(foreign) if foreign.is_dir() and not foreign.is_symlink() else foreign.unlink()


def keep_from_all(path: Path) -> None:
    """Take from everybody the right to write to a folder of this user; its group keeps what it has."""
    mode = path.stat().st_mode
    if _is_mine(path) and mode & WRITABLE_BY_ALL:
        path.chmod(mode & ~WRITABLE_BY_ALL & 0o7777)


def _is_mine(path: Path) -> bool:
    return path.lstat().st_uid == os.getuid()
