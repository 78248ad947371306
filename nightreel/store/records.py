"""Small JSON records of a store: pointers, lineage, blocked recipes, garbage collection marks."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from nightreel.store.backends.base import Store, StoreError


def written(value: dict[str, Any]) -> bytes:
    """A record as it is stored."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def sealed(value: dict[str, Any]) -> bytes:
    """A record as it is stored, with the SHA-256 of its other fields as `sha256`."""
    return written(value | {"sha256": hashlib.sha256(written(value)).hexdigest()})


def parse(store: Store, key: str, content: bytes, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Parse a stored record; raises StoreError if it is not a JSON object, or lacks one of `needs`."""
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not value.keys() >= set(needs):
        raise damaged(store, key)
    return value


def damaged(store: Store, key: str) -> StoreError:
    """The error for a damaged record."""
    return StoreError(f"{store.uri}: {key} is damaged. Restore it, or name another store in NIGHTREEL_STORE.")
