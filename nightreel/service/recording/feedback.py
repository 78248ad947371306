"""Feedback: stored as events that the next night reads, and counted in the user's next request."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightreel.reader.reader import Reader
from nightreel.reader.requests.recent_events import IMPRESSION, NOTHING, Event, Recent, RecentEvents
from nightreel.service.recording.event_files import EventFiles
from nightreel.service.recording.impression_log import SlateLog
from nightreel.service.schemas import Feedback

LOG = logging.getLogger("nightreel.service")


class Log:
    """Log of feedback. recent: None where feedback counts from the next night on only."""

    def __init__(self, folder: Path, recent: RecentEvents | None) -> None:
        self._files, self._recent, self._withdrawals = EventFiles(folder), recent, ""
        self._silent_until = 0.0

    def keep(self, events: Sequence[Feedback], reader: Reader, slates: SlateLog | None = None) -> dict[str, Any]:
        """Append the events with the present time, all or none.

        Impressions of lists that this service has logged itself (`slates`) are in the log already. Items that neither
        the version nor tonight's catalogue has are left out and named: the next night would set them aside, and too
        many of them stop it.

        Raises:
            UserError: The events table would refuse an event.
            OSError: The disk is full, or can't be written.
        """
        checked = [_event(each) for each in events]
        unknown = [each.item for each in checked if not _known(reader, each.item)]
        pairs = [(own, each) for own, each in zip(checked, events, strict=True) if own.item not in set(unknown)]
        RecentEvents.require_sound(checked)
        untold = [(own, each) for own, each in pairs if not _is_logged(own, slates)]
        by_event = {id(own): each for own, each in untold}
        if self._recent is None:
            self._append([each for _, each in untold])
            kept = len(untold)
        else:
            new = [own for own, _ in untold]
            kept = self._recent.add(new, lambda first: self._append([by_event[id(own)] for own in first]))
        return {"kept": kept, "repeated": len(pairs) - kept, "unknown_items": list(dict.fromkeys(unknown))}

    def of(self, reader: Reader, user: str | None) -> Recent:
        """What a user did since the version was made. Users whom the version's withdrawals erase are forgotten here,
        too."""
        if self._recent is None or user is None:
            return NOTHING
        try:
            self._follow(reader)
            return self._recent.of(user)
        except OSError as error:
            self._complain(error)
            return NOTHING

    def revision(self, user: str | None) -> int:
        """Grows with each event of a user that counts at once."""
        if self._recent is None or user is None:
            return 0
        try:
            return self._recent.revision(user)
        except OSError as error:
            self._complain(error)
            return 0

    async def forget_while_running(self) -> None:
        """Delete what is older than the retention, again and again, without end. Every worker does: a deletion that
        finds nothing costs microseconds."""
        while self._recent is not None:
            await asyncio.sleep(self._recent.pause_s)
            with suppress(OSError):  # a full disk, or another process that writes: tried again after the pause
                await asyncio.to_thread(self._recent.forget_old)

    def _complain(self, error: Exception) -> None:
        """Nobody goes without a list because the database fails; the log tells it once a minute."""
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + 60.0
            LOG.error("lists go without what users have just done: %s", error)

    def _follow(self, reader: Reader) -> None:
        held = reader.withdrawals
        if self._recent is None or held is None or held.sha256 == self._withdrawals:
            return
        self._recent.erase(held.users, pseudonyms=bool(reader.config["pseudonymised"]))
        self._withdrawals = held.sha256

    def _append(self, events: Sequence[Feedback]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        rows = [{"timestamp": now, **each.model_dump(exclude_none=True, exclude={"event_id"})} for each in events]
        self._files.append("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def _event(given: Feedback) -> Event:
    return Event(given.user_id, given.item_id, given.event, given.value, None, given.event_id, given.slate_id)


def _is_logged(event: Event, slates: SlateLog | None) -> bool:
    """Whether this service has told the same impression."""
    return event.event == IMPRESSION and slates is not None and slates.has_logged(event.user, event.slate)


def _known(reader: Reader, item: str) -> bool:
    """Whether an item is in the version, or in the catalogue that the last night read."""
    held = reader.withdrawals
    return reader.items.index_of(item) is not None or (
        held is not None and held.items is not None and item in held.items.all
    )
