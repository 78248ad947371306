"""Readers of other channels of the same store, such as a canary, for comparing two versions side by side."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from nightreel.errors import UserError
from nightreel.reader.live_reader import LiveReader
from nightreel.reader.reader import Reader
from nightreel.service.options import Options
from nightreel.store import channels
from nightreel.store.open import open_store

MOST = 4  # each channel has a version mapped in every worker


@dataclass(eq=False)
class Beside:
    """Readers of other channels; each is opened on first use and then followed."""

    options: Options
    _opened: dict[str, LiveReader] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def channels(self) -> list[dict[str, Any]]:
        """All channels by name, including the served one: name, version, share of users, whether it is served."""
        found = channels.channels(open_store(self.options.store))
        return [
            {"name": name, "version": each.digest, "share": each.share, "served": name == self.options.channel}
            for name, each in sorted(found.items())
        ]

    def reader(self, channel: str) -> Reader:
        """The reader of a channel. Raises UserError if nothing is published there, and beyond MOST channels."""
        if channel not in {each["name"] for each in self.channels()}:
            raise UserError(f"{channel[:64]}: nothing is published yet on this channel. Choose another one.")
        with self._lock:
            if channel not in self._opened:
                if len(self._opened) >= MOST:
                    raise UserError(
                        f"{channel}: this service already compares {MOST} other channels, which is the maximum. "
                        "Restart it to choose others."
                    )
                options = self.options
                self._opened[channel] = LiveReader(options.store, channel=channel, every_s=options.refresh_s)
            return self._opened[channel].reader

    def close(self) -> None:
        """Stop following the channels."""
        with self._lock:
            for live in self._opened.values():
                live.close()
            self._opened.clear()
