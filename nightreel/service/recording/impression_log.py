"""Log served lists as impressions with propensities, for off-policy evaluation of other versions.

A request costs a new slate_id and an append to a queue; a thread writes the queue to disk twice a second. Requests
never wait for it: lists that exceed the queue or can't be written are counted as lost.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from nightreel.service.kept_bytes import KeptBytes
from nightreel.service.metrics import Metrics
from nightreel.service.recording.event_files import EventFiles

PAUSE_S = 0.5  # between two writes
MOST_WAITING = 20_000  # lists: about two seconds at the highest rate
RENDERED = 16 << 20  # bytes of cached rows, since cached GET responses are served many times
AT = len('{"version":"') + 64 + len('","slate_id":"')  # position of slate_id in a response
ID = 16  # hex digits
MARK = 4  # hex digits at the end of an id, by which a service knows what it has logged; one in 65,000 others has them
VERSION = len('{"version":"') + 64

Served = tuple[float, str, str, bytes]
"""(epoch seconds, user, slate_id, response)"""


class SlateLog:
    """Log of one process.

    Args:
        folder: Where its files are.
        variant: The channel, which distinguishes a canary's impressions.
        metrics: Counts lists.
        key: Shared by the workers of a service, so that each knows the others' lists; None: this process alone.
    """

    def __init__(self, folder: Path, variant: str, metrics: Metrics, key: bytes | None = None) -> None:
        self._files, self._variant, self._metrics = EventFiles(folder), _text(variant), metrics
        self._key = key or secrets.token_bytes(32)
        self._waiting: deque[Served] = deque()
        self._rendered = KeptBytes(RENDERED)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, name="nightreel-slates", daemon=True)
        self._thread.start()

    def served(self, user: str | None, answer: bytes) -> bytes:
        """Log a response as shown to the user and return it with its own slate_id; unchanged if there is no user,
        because an event needs one."""
        if user is None:
            return answer
        slate = secrets.token_hex((ID - MARK) // 2)
        if len(self._waiting) < MOST_WAITING:
            slate += self._mark(user, slate)
            self._waiting.append((time.time(), user, slate, answer))
        else:
            slate += secrets.token_hex(MARK // 2)
            self._metrics.lost.inc()
        return b"".join((answer[:AT], slate.encode(), answer[AT + ID :]))

    def has_logged(self, user: str, slate: str | None) -> bool:
        """Whether the impressions of a list are in the log already, by the list's id and the user who got it."""
        if slate is None or len(slate) != ID:
            return False
        return hmac.compare_digest(slate[-MARK:].encode(), self._mark(user, slate[:-MARK]).encode())

    def _mark(self, user: str, slate: str) -> str:
        return hmac.new(self._key, f"slate\x00{slate}\x00{user}".encode(), hashlib.sha256).hexdigest()[:MARK]

    def close(self) -> None:
        """Write the queue."""
        self._end.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._end.wait(PAUSE_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        served = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not served:
            return
        try:
            self._files.append("".join(map(self._lines, served)).encode())
            self._metrics.logged.inc(len(served))
        except OSError:
            self._metrics.lost.inc(len(served))

    def _lines(self, served: Served) -> str:
        moment, user, slate, answer = served
        when = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
        head = (
            f'{{"timestamp":"{when}","user_id":{_text(user)},"event":"impression","slate_id":"{slate}",'
            f'"variant":{self._variant},'
        )
        rows = self._rows(answer)
        return head + head.join(rows) if rows else ""

    def _rows(self, answer: bytes) -> tuple[str, ...]:
        version = answer[:VERSION].decode()
        rows = self._rendered.get(version, answer)
        if rows is None:
            rows = _rows(answer)
            self._rendered.put(version, answer, rows, len(answer) + sum(map(len, rows)))
        return tuple(rows)


def _rows(answer: bytes) -> tuple[str, ...]:
    """The last parts of a response's lines: item, position and, if known, propensity."""
    rows = []
    for item in json.loads(answer)["items"]:
        row = {"item_id": item["item_id"], "position": item["rank"]}
        row |= {} if item["propensity"] is None else {"propensity": item["propensity"]}
        rows.append(json.dumps(row, ensure_ascii=False)[1:] + "\n")
    return tuple(rows)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
