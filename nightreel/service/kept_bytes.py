"""Answers that are kept, limited by their bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

OVERHEAD = 500  # bytes of an entry besides its answer and its key, about


class KeptBytes:
    """Values by version and key; the least recently used are dropped first, those of another version at once.

    Args:
        most: Bytes of all of them together.
    """

    def __init__(self, most: int) -> None:
        self._most, self._edition, self._bytes = most, "", 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes that are held, about."""
        return self._bytes

    def get(self, edition: str, key: Hashable) -> Any:
        """What was kept under a key for a version's edition, the present one; None if there is nothing."""
        self._follow(edition)
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, edition: str, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of the present edition. size: its bytes, and its key's."""
        self._follow(edition)
        before = self._kept.pop(key, None)
        if before is not None:
            self._bytes -= before[1]
        size += OVERHEAD
        if size > self._most:
            return
        self._kept[key] = value, size
        self._bytes += size
        while self._bytes > self._most:
            self._bytes -= self._kept.popitem(last=False)[1][1]

    def _follow(self, edition: str) -> None:
        if edition != self._edition:
            self._kept.clear()
            self._edition, self._bytes = edition, 0
