"""Feedback, stored as events that the next night reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from nightreel.service.event_files import EventFiles
from nightreel.service.schemas import Feedback


class Log:
    """Log of feedback."""

    def __init__(self, folder: Path) -> None:
        self._files = EventFiles(folder)

    def keep(self, events: Sequence[Feedback]) -> int:
        """Append the events with the present time; returns their number."""
        now = datetime.now(UTC)
        lines = [
            json.dumps(
                {"timestamp": now.isoformat(timespec="milliseconds"), **each.model_dump(exclude_none=True)},
                ensure_ascii=False,
            )
            for each in events
        ]
        self._files.append(("\n".join(lines) + "\n").encode())
        return len(lines)
