"""Append events as JSON Lines in the format of the events table, so that the next night can read them as they are."""

from __future__ import annotations

import os
import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path

MOST_BYTES = 64 << 20  # of a part, about: it is read whole


class EventFiles:
    """Appends whole lines. A part belongs to one object in one process, so workers never mix theirs; a new one begins
    with the day (UTC) and at MOST_BYTES. Users have their plain ids, as in the event log that it goes into, since a
    night hashes those: readable by the owner alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._lock = folder, threading.Lock()
        # Digits only: events-<digits and dashes> is how a source names the parts of its events.
        self._own = f"{os.getpid()}-{secrets.randbelow(10**6):06d}"
        self._day, self._number = "", 0

    def append(self, content: bytes) -> None:
        """Write lines and flush them; raises OSError."""
        with self._lock:
            today = f"{datetime.now(UTC):%Y-%m-%d}"
            if today != self._day:
                self._day, self._number = today, 0
            path = self._folder / f"events-{today}-{self._own}-{self._number}.jsonl"
            target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(target, view) :]
                self._number += os.fstat(target).st_size >= MOST_BYTES
            finally:
                os.close(target)
