"""Feedback as files that the next night can read: the events table as JSON Lines, one file a day and process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from serving.schemas import Feedback


class Log:
    """Appends whole lines; a file belongs to one process, so workers never mix theirs. Holds plain user ids, like the
    event log it is meant for: readable by the owner alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._lock = folder, threading.Lock()

    def keep(self, events: Sequence[Feedback]) -> int:
        """Write the events with the present moment and flush them; returns how many."""
        now = datetime.now(UTC)
        lines = [
            json.dumps({"timestamp": now.isoformat(timespec="milliseconds"), **each.model_dump(exclude_none=True)},
                       ensure_ascii=False)
            for each in events
        ]  # fmt: skip
        path = self._folder / f"events-{now:%Y-%m-%d}-{os.getpid()}.jsonl"
        content = ("\n".join(lines) + "\n").encode()
        with self._lock:
            target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(target, view) :]
            finally:
                os.close(target)
        return len(lines)
