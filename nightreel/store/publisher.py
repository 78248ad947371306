"""Publish a version: upload missing files, the manifest last, then move the channel by compare-and-swap.

If it is interrupted at any point, the channel points to the old version or to the complete new one; the next publish
resumes the upload.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nightreel.bundle.format import LINEAGE, MANIFEST, BundleError, Manifest, parse_manifest, verify
from nightreel.bundle.user_table import FILE as USERS
from nightreel.errors import UserError
from nightreel.store import channels, retention
from nightreel.store.backends.base import Conflict, Missing, Store
from nightreel.store.channel_pointer import Pointer
from nightreel.store.fence import Fence
from nightreel.store.withdrawals_file import NightlyTables, Withdrawals, read, without_returned
from nightreel.store.withdrawals_update import compose, of_a_new_channel, put, settle


class StaleChallenger(UserError):
    """The channel has moved since this run pinned its champion, so its comparison is out of date."""


@dataclass(frozen=True)
class Published:
    """Result of a publication. moved: whether the channel was changed; uploaded: files; sent: their bytes; kept:
    files that the store already had under this version's name or copied from another version."""

    digest: str
    moved: bool
    uploaded: int
    sent: int
    kept: int


def publish(
    store: Store,
    folder: Path,
    *,
    channel: str,
    champion: str | None,
    lineage: dict[str, Any],
    dry_run: bool = False,
    fence: Fence | None = None,
    tonight: NightlyTables | None = None,
) -> Published:
    """Publish a bundle and point the channel at it. The channel's withdrawals stay in force.

    Args:
        store: The store.
        folder: The bundle's folder.
        channel: Name of the channel.
        champion: Digest that must be live (None: nothing). If the bundle itself is live already, nothing is done.
        lineage: Record written next to the version; `predecessor` is added.
        dry_run: Only report what would be uploaded.
        fence: Fencing token of the run's lock, which must still be valid.
        tonight: Rights by the tables that the bundle was made from, for a channel without withdrawals, or where a part
            of them was not applied to the previous version.

    Returns:
        What was done.

    Raises:
        StaleChallenger: Another version is live than `champion`.
        LostLock: The run has lost its lock.
        BundleError: The bundle is not intact.
        StoreError: The store can't be used.
    """
    manifest = verify(folder)
    seen = channels.live(store, channel)
    if seen is not None and seen.digest == manifest.digest:
        return Published(manifest.digest, False, 0, 0, len(manifest.files))
    if (seen.digest if seen else None) != champion:
        raise _stale(store, channel, seen, champion)
    retention.refuse_collected(store, manifest.digest)
    root = f"versions/{manifest.digest}/"
    there = store.list(root)
    lacking = [name for name, entry in manifest.files.items() if there.get(root + name) != entry["size"]]
    lacking = _copied(store, manifest, lacking, dry_run)
    sent = sum(int(manifest.files[name]["size"]) for name in lacking)
    done = Published(manifest.digest, False, len(lacking), sent, len(manifest.files) - len(lacking))
    if dry_run:
        return done
    store.require_swaps()
    for name in lacking:
        store.put(root + name, folder / name)
    store.put(root + LINEAGE, _record(lineage | {"predecessor": champion}))
    if root + MANIFEST not in there:
        store.put(root + MANIFEST, manifest.canonical)
    beside = partial(_beside, store, tonight, folder)
    return replace(done, moved=_move(store, channel, manifest.digest, champion, seen, fence, beside))


def _copied(store: Store, manifest: Manifest, lacking: list[str], dry_run: bool) -> list[str]:
    """Copy content that another version holds, inside the store; returns the files that remain to be uploaded."""
    if not lacking:
        return []
    held = _held(store, manifest.digest)
    remaining = []
    for name in lacking:
        sha256 = manifest.files[name]["sha256"]
        source = held.get(sha256)
        found = source is not None and (dry_run or store.copy(source, f"versions/{manifest.digest}/{name}", sha256))
        if not found:
            remaining.append(name)
    return remaining


def _held(store: Store, digest: str) -> dict[str, str]:
    """SHA-256 → a key with that content, by the manifests of the other versions in the store."""
    held: dict[str, str] = {}
    for other in channels.versions(store):
        key = f"versions/{other}/{MANIFEST}"
        try:
            manifest = parse_manifest(store.get(key), key) if other != digest else None
        except (BundleError, Missing):  # damaged, of another format or just removed: not usable for copies
            continue
        for name, entry in manifest.files.items() if manifest else ():
            held[entry["sha256"]] = f"versions/{other}/{name}"
    return held


def _move(
    store: Store,
    channel: str,
    digest: str,
    champion: str | None,
    seen: Pointer | None,
    fence: Fence | None,
    beside: Callable[[Pointer | None], Withdrawals | None],
) -> bool:
    """True if this call moved the channel, false if another process moved it to the same version first."""
    while True:
        retention.refuse_collected(store, digest)
        mark = fence.require(seen.fence if seen else None) if fence else None
        file = beside(seen)
        named = put(store, file) if file else None
        try:
            channels.move(store, channel, digest, previous=champion, seen=seen, fence=mark, withdrawals=named)
            if file:
                settle(store, file)
            return True
        except Conflict:
            now = channels.live(store, channel)
        if now is not None and now.digest == digest:
            return False
        if now is None or now.digest != champion:
            raise _stale(store, channel, now, champion)
        # Its share was changed, something was withdrawn or old versions are being removed: it still points to the
        # champion.
        seen = now


def _beside(store: Store, tonight: NightlyTables | None, folder: Path, seen: Pointer | None) -> Withdrawals | None:
    """Withdrawals to publish with the version; None: those of the channel stay in force.

    A withdrawal that was made during the run takes precedence: the version only brings its own if the run's tables are
    already in force, or were refused for the previous version.
    """
    if tonight is None:
        return None
    held = read(store, seen.withdrawals) if seen else None
    if seen is None:
        file = compose(tonight, of_a_new_channel(store))
    elif held is None or held.refused == tonight.sha256:
        file = compose(tonight, held)
    elif held.night == tonight.sha256:
        file = held
    else:
        return None
    users = pq.ParquetFile(folder / USERS).read(columns=["user_id"])["user_id"].to_pylist()
    return without_returned(file, tonight, frozenset(users))


def _record(lineage: dict[str, Any]) -> bytes:
    return (json.dumps(lineage, indent=1, sort_keys=True) + "\n").encode()


def _stale(store: Store, channel: str, now: Pointer | None, champion: str | None) -> StaleChallenger:
    live = now.digest[:12] if now else "nothing"
    compared = champion[:12] if champion else "no version"
    return StaleChallenger(
        f"stale challenger: channel {channel} of {store.uri} points to {live}, but this run was compared with "
        f"{compared}. Nothing was published. Run again: the new run is compared with what is live now."
    )
