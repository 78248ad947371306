"""Append events as JSON Lines in the format of the events table, so that the next night can read them as they are."""

from __future__ import annotations

import os
import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path

MOST_BYTES = 64 << 20  # approximate size of a part, which is read as a whole


class EventFiles:
    """Appends whole lines to files. Each worker writes parts of its own; a new part begins with the day (UTC) and at
    MOST_BYTES. User ids are stored as they are, because the next night replaces them by hashes, so only the owner
    can read the files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._lock = folder, threading.Lock()
        # Digits only: a source recognises the parts of its events by events-<digits and dashes>.
        self._own = f"{os.getpid()}-{secrets.randbelow(10**6):06d}"
        self._day, self._number = "", 0

    def append(self, content: bytes) -> None:
        """Append lines, all or none; raises OSError, and cuts the file back to what it was, if the disk is full."""
        with self._lock:
            today = f"{datetime.now(UTC):%Y-%m-%d}"
            if today != self._day:
                self._day, self._number = today, 0
            path = self._folder / f"events-{today}-{self._own}-{self._number}.jsonl"
            target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            before = os.fstat(target).st_size
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(target, view) :]
                self._number += os.fstat(target).st_size >= MOST_BYTES
            except OSError:
                os.ftruncate(target, before)
                raise
            finally:
                os.close(target)
