"""An access log as JSON lines: what was asked of which route, and how it ended. No ids of persons, and no addresses."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path


class AccessLog:
    """Appends a line for each request; workers may share a file. where: a file, or "-" for standard output."""

    def __init__(self, where: str) -> None:
        if where == "-":
            self._target = sys.stdout.fileno()
        else:
            Path(where).parent.mkdir(parents=True, exist_ok=True)
            self._target = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, request: str, method: str, route: str, code: int, seconds: float) -> None:
        """Append a line. request: its id; route: its path as it is declared, not as it was asked. What can't be written
        is passed over: no answer may fail for its log."""
        line = {
            "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
            "request": request,
            "method": method,
            "route": route,
            "status": code,
            "ms": round(seconds * 1e3, 2),
        }
        try:
            os.write(self._target, (json.dumps(line) + "\n").encode())
        except OSError:
            return
