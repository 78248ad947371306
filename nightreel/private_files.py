"""Files that only their owner may read: keys and passwords that Nightreel generates."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

OTHERS = 0o077
"""Permission bits of everybody but the owner."""


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
