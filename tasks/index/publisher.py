"""Publishing: upload what the store lacks, the manifest last, then move the channel by compare-and-swap.

A kill at any point leaves the channel on the old version or on the new one, whole; the next publish carries on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.index import channels
from tasks.index.bundle import LINEAGE, MANIFEST, verify
from tasks.index.store import Conflict, Store
from tasks.stage import UserError


class StaleChallenger(UserError):
    """The channel moved since this run pinned its champion, so its comparison holds no longer."""


@dataclass(frozen=True)
class Published:
    """What a publish did. moved: whether the channel was changed; uploaded: files, sent: their bytes; kept: files
    that the store had already."""

    digest: str
    moved: bool
    uploaded: int
    sent: int
    kept: int


def publish(
    store: Store, folder: Path, *, channel: str, champion: str | None, lineage: dict[str, Any], dry_run: bool = False
) -> Published:
    """Make the bundle in `folder` what `channel` points to.

    champion: the digest that must be live now (None: nothing); this very digest being live already is a no-op.
    lineage: written beside the bundle, `predecessor` is added. Raises StaleChallenger, BundleError, StoreError.
    """
    manifest = verify(folder)
    seen = channels.live(store, channel)
    if seen is not None and seen.digest == manifest.digest:
        return Published(manifest.digest, False, 0, 0, len(manifest.files))
    if (seen.digest if seen else None) != champion:
        raise _stale(store, channel, seen, champion)
    root = f"versions/{manifest.digest}/"
    there = store.list(root)
    lacking = [name for name, entry in manifest.files.items() if there.get(root + name) != entry["size"]]
    sent = sum(int(manifest.files[name]["size"]) for name in lacking)
    if dry_run:
        return Published(manifest.digest, False, len(lacking), sent, len(manifest.files) - len(lacking))
    for name in lacking:
        store.put(root + name, folder / name)
    record = lineage | {"predecessor": champion}
    store.put(root + LINEAGE, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    if root + MANIFEST not in there:
        store.put(root + MANIFEST, manifest.canonical)
    moved = _move(store, channel, manifest.digest, champion, seen)
    return Published(manifest.digest, moved, len(lacking), sent, len(manifest.files) - len(lacking))


def _move(store: Store, channel: str, digest: str, champion: str | None, seen: channels.Pointer | None) -> bool:
    """True if this call moved the channel, false if somebody moved it to the same version first."""
    try:
        channels.move(store, channel, digest, previous=champion, seen=seen)
    except Conflict:
        now = channels.live(store, channel)
        if now is None or now.digest != digest:
            raise _stale(store, channel, now, champion) from None
        return False
    return True


def _stale(store: Store, channel: str, now: channels.Pointer | None, champion: str | None) -> StaleChallenger:
    live = now.digest[:12] if now else "nothing"
    compared = champion[:12] if champion else "no published version"
    return StaleChallenger(
        f"stale challenger: channel {channel} of {store.uri} points to {live}, but this run was compared with "
        f"{compared}. Nothing was published. Run again: the new run is compared with what is live now."
    )
