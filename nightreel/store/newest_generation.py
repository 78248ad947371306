"""Remembers the newest pointer that was read of each channel, so that an older one put in its place is refused.

Without this, a stale replica, a careless restore or somebody who kept an old pointer could bring back a version that
was rolled back, or show withdrawn items again. A process remembers for as long as it holds the store; for a store on S3
a file in the cache remembers for the processes to come.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from weakref import WeakKeyDictionary

from nightreel.stage import cache_folder
from nightreel.store.backends.base import Store, StoreError

_SEEN: WeakKeyDictionary[Store, dict[str, int]] = WeakKeyDictionary()


def require(store: Store, channel: str, generation: int) -> None:
    """Check that a pointer is not older than the newest one known, and remember it.

    Raises:
        StoreError: It is older.
    """
    kept = _file(store, channel)
    newest = max(_SEEN.get(store, {}).get(channel, 0), _read(kept))
    if generation < newest:
        remedy = f"delete {kept}" if kept else "restart what reads it"
        raise StoreError(
            f"{store.uri}: the pointer of channel {channel} is older (generation {generation}) than one read before "
            f"({newest}), so it is not used. Find out who restored it. If that was intended, {remedy}."
        )
    if generation > newest:
        _SEEN.setdefault(store, {})[channel] = generation
        _write(kept, generation)


def forget(store: Store, channel: str) -> None:
    """Forget a channel that is gone: the store was emptied, and begins anew."""
    _SEEN.get(store, {}).pop(channel, None)
    kept = _file(store, channel)
    if kept is not None and kept.exists():
        with contextlib.suppress(OSError):
            kept.unlink()


def _file(store: Store, channel: str) -> Path | None:
    """The file that remembers a remote store's channel; None for a folder, whose owner can change that file, too."""
    if store.folder("versions") is not None:
        return None
    name = hashlib.sha256(f"{store.uri}\n{channel}".encode()).hexdigest()[:32]
    return cache_folder() / "generations" / f"{name}.json"


def _read(path: Path | None) -> int:
    try:
        return int(json.loads(path.read_text("utf-8"))["generation"]) if path else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _write(path: Path | None, generation: int) -> None:
    """Remember a generation; without effect where the cache can't be written."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            working = path.with_suffix(".partial")
            working.write_text(json.dumps({"generation": generation}), "utf-8")
            working.replace(path)
