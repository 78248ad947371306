"""Media files in a bucket: their identity and content, within limits of size and time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nightreel.store.backends.base import Missing, StoreError, StoreUnreachable

MOST_BYTES = 4 << 30
"""Maximum bytes of an object, which is copied to this machine's disk."""
MOST_S = 900.0
"""Maximum seconds for fetching it, so that a slow server can't hold up the run."""


class MediaObjects:
    """Objects below an s3:// address. For an object that can't be read, a reason is returned; a store that does not
    respond raises StoreUnreachable, because otherwise the run would conclude that there are no media."""

    def __init__(
        self,
        uri: str,
        most_bytes: int = MOST_BYTES,
        most_s: float = MOST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from nightreel.store.backends.s3 import S3Store  # boto3 takes 0.3 s to import: only where it is needed

        self.store, self.uri = S3Store(uri), uri.rstrip("/")
        self.most_bytes, self.most_s, self.clock = most_bytes, most_s, clock

    def stamp(self, key: str) -> tuple[list[int | str], str]:
        """([bytes, tag], "") of an object, which change with its content, else ([], reason)."""
        try:
            size, etag = self.store.stamp(key)
        except StoreUnreachable:
            raise
        except StoreError as error:
            return [], _reason(error)
        return ([size, etag], "") if size <= self.most_bytes else ([], self._too_large())

    def fetch(self, key: str, path: Path) -> str:
        """Copy an object to `path`, in parts; returns the reason if it fails, else an empty string."""
        began, size = self.clock(), 0
        try:
            with path.open("wb") as file:
                for part in self.store.parts(key):
                    size += len(part)
                    if size > self.most_bytes:  # whatever size it reported
                        return self._too_large()
                    if self.clock() - began > self.most_s:
                        return f"took more than {self.most_s:g} s to fetch"
                    file.write(part)
        except StoreUnreachable:
            raise
        except StoreError as error:
            return _reason(error)
        return ""

    def _too_large(self) -> str:
        return f"is larger than {self.most_bytes:,} bytes"


def _reason(error: StoreError) -> str:
    """A reason without server names, since reasons are counted."""
    return "object not found" if isinstance(error, Missing) else "access denied by the object store"
