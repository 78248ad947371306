"""The store interface, which a local folder and S3 implement alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NewType, Protocol

from nightreel.errors import TemporaryError, UserError

Token = NewType("Token", str)
"""Stands for the content of a key as it was read; a swap succeeds only while that content is unchanged."""

_PART = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*")


class StoreError(UserError):
    """The store can't be used as asked: unreachable, credentials refused, full, no conditional writes."""


class StoreUnreachable(StoreError, TemporaryError):
    """The store does not answer at its address; it may a little later."""


class Missing(StoreError):
    """The key is not in the store."""


class Conflict(StoreError):
    """Somebody else changed the key since it was read."""


class Store(Protocol):
    """Keys are slash-separated names. A reader sees a key's whole old or whole new content, never a part."""

    uri: str
    """How the user names this store; for messages."""

    def get(self, key: str) -> bytes:
        """The content; raises Missing."""

    def get_file(self, key: str, path: Path) -> None:
        """Copy the content to `path`; raises Missing."""

    def get_with_token(self, key: str) -> tuple[bytes, Token] | None:
        """The content and its token for compare_and_swap; None when the key is missing."""

    def put(self, key: str, content: bytes | Path) -> None:
        """Store bytes or a file's content, in place of what was there."""

    def list(self, prefix: str) -> dict[str, int]:
        """Keys that begin with `prefix`, sorted, with their sizes in bytes."""

    def exists(self, key: str) -> bool:
        """Whether the key is there."""

    def compare_and_swap(self, key: str, expected: Token | None, content: bytes) -> Token:
        """Write only if the key still is what `expected` stands for (None: missing); raises Conflict."""

    def require_swaps(self) -> None:
        """Raises StoreError where compare_and_swap can't be relied on; asked before anything is sent."""

    def folder(self, prefix: str) -> Path | None:
        """The local folder that holds the keys below `prefix`, so that no copy is needed; None if elsewhere."""

    def copy(self, source: str, target: str, sha256: str) -> bool:
        """Give `target` the content of `source` without sending it; False when `source` is missing or is not known to
        have this SHA-256 (64 hex digits)."""

    def delete(self, key: str) -> None:
        """Remove the key; no effect when it is missing."""

    def written(self, key: str) -> float:
        """When the key was last written, by the store's clock, in epoch seconds; raises Missing."""

    def sweep(self, before: float) -> int:
        """Remove the parts of writes that were begun before `before` (epoch seconds) and never ended; how many."""


def check_key(key: str) -> str:
    """The key itself; raises StoreError when a part is empty, hidden or climbs out of the store."""
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise StoreError(f"{key!r}: not a valid key: a part of it is empty or begins with a dot. Rename it.")
    return key
