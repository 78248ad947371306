"""The store interface, which a local folder and S3 implement alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NewType, Protocol

from nightreel.errors import TemporaryError, UserError

Token = NewType("Token", str)
"""Identifies the content of a key as it was read; a compare-and-swap succeeds only while that content is unchanged."""

_PART = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*")


class StoreError(UserError):
    """The store can't be used: unreachable, credentials refused, full, no conditional writes."""


class StoreUnreachable(StoreError, TemporaryError):
    """The store does not respond at its address; a later attempt may succeed."""


class Missing(StoreError):
    """The key is not in the store."""


class Conflict(StoreError):
    """Another process changed the key after it was read."""


class Store(Protocol):
    """The store interface. Keys are slash-separated names. A reader sees the complete old or the complete new
    content of a key, never a part."""

    uri: str
    """The user's name of this store, for messages."""

    def get(self, key: str) -> bytes:
        """Return the content; raises Missing."""

    def get_file(self, key: str, path: Path) -> None:
        """Copy the content to `path`; raises Missing."""

    def get_with_token(self, key: str) -> tuple[bytes, Token] | None:
        """Return the content and its token for compare_and_swap; None if the key is missing."""

    def put(self, key: str, content: bytes | Path) -> None:
        """Store bytes or a file's content; replaces existing content."""

    def list(self, prefix: str) -> dict[str, int]:
        """Keys that begin with `prefix`, sorted, with their sizes in bytes."""

    def exists(self, key: str) -> bool:
        """Whether the key exists."""

    def compare_and_swap(self, key: str, expected: Token | None, content: bytes) -> Token:
        """Write only if the key's content still matches `expected` (None: missing); raises Conflict."""

    def require_swaps(self) -> None:
        """Raise StoreError if compare_and_swap is not reliable here; called before anything is uploaded."""

    def folder(self, prefix: str) -> Path | None:
        """The local folder with the keys below `prefix`, if no copy is needed; None otherwise."""

    def copy(self, source: str, target: str, sha256: str) -> bool:
        """Copy `source` to `target` inside the store; False if `source` is missing or not known to have this SHA-256
        (64 hex digits)."""

    def delete(self, key: str) -> None:
        """Remove the key; no effect if it is missing."""

    def written(self, key: str) -> float:
        """When the key was last written, by the store's clock, in epoch seconds; raises Missing."""

    def sweep(self, before: float) -> int:
        """Remove parts of unfinished writes that were begun before `before` (epoch seconds); returns their number."""


def check_key(key: str) -> str:
    """Return the key; raises StoreError if a part is empty or hidden, or leads out of the store."""
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise StoreError(f"{key!r}: not a valid key: a part of it is empty or begins with a dot. Rename it.")
    return key
