"""Retention: which versions a store keeps, and garbage collection of the others."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from nightreel.bundle.format import MANIFEST
from nightreel.store import channels
from nightreel.store.backends.base import Missing, Store, StoreUnreachable
from nightreel.store.withdrawals_file import FOLDER, key_of

_HOUR = 3600.0


@dataclass(frozen=True)
class Keep:
    """Retention rules, besides what channels need: the newest `versions`, those younger than `days`, and for readers
    those that a channel left less than `grace_hours` ago. The last also applies to unfinished versions."""

    versions: int
    days: float
    grace_hours: float


@dataclass(frozen=True)
class CollectionPlan:
    """Plan of a garbage collection. keys: {digest: {key: bytes}} of versions to remove; kept: {digest: reason};
    files: {key: bytes} of withdrawals files that no channel names any more."""

    keys: Mapping[str, Mapping[str, int]]
    kept: Mapping[str, str]
    files: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all keys to remove (on a local disk, hard-linked files count once for each version)."""
        return sum(sum(keys.values()) for keys in [*self.keys.values(), self.files])


def plan(store: Store, keep: Keep, now: float | None = None) -> CollectionPlan:
    """What a garbage collection would remove now (epoch seconds)."""
    now = time.time() if now is None else now
    found: dict[str, dict[str, int]] = {}
    for key, size in store.list("versions/").items():
        found.setdefault(key.split("/")[1], {})[key] = size
    ages = {digest: now - age for digest, keys in found.items() if (age := _written(store, digest, keys)) is not None}
    whole = [digest for digest in ages if f"versions/{digest}/{MANIFEST}" in found[digest]]
    kept = _needed(store, keep, now)
    for digest in sorted(whole, key=ages.__getitem__)[: keep.versions]:
        kept.setdefault(digest, f"among the newest {keep.versions}")
    for digest, age in ages.items():
        limit = keep.days * 24 if digest in whole else keep.grace_hours
        if age < limit * _HOUR:
            kept.setdefault(digest, "young" if digest in whole else "upload may be in progress")
    return CollectionPlan(
        {digest: found[digest] for digest in sorted(ages) if digest not in kept},
        {digest: why for digest, why in kept.items() if digest in found},
        _left_over(store, keep, now),
    )


def collect(store: Store, planned: CollectionPlan, keep: Keep) -> list[str]:
    """Remove what was planned, except what a channel needs by now; returns the removed digests.

    Publishers and rollbacks are kept off in two steps: first the digests are recorded where these look before they move
    a channel, then each channel gets a new token, so that a process that looked earlier must look again. If a
    collection is killed, the record remains and the next collection completes it.
    """
    doomed = sorted({*planned.keys, *channels.collecting(store)})
    if doomed or planned.files:
        store.put(channels.COLLECTING, json.dumps({"versions": doomed}).encode())
        for channel in channels.channels(store):
            channels.touch(store, channel)
        needed = _needed(store, keep, time.time())
        doomed = [digest for digest in doomed if digest not in needed]
        for digest in doomed:
            _remove(store, digest)
        for key in planned.files.keys() & (_left_over(store, keep, time.time()) if planned.files else {}):
            store.delete(key)
        store.delete(channels.COLLECTING)
    store.sweep(time.time() - max(keep.grace_hours, 24) * _HOUR)
    return doomed


def refuse_collected(store: Store, digest: str) -> None:
    """Raise StoreUnreachable (try again later) if the version is being removed from the store."""
    if digest in channels.collecting(store):
        raise StoreUnreachable(
            f"{store.uri}: {digest[:12]} is being removed by `nightreel gc`. Run again when it has finished."
        )


def _needed(store: Store, keep: Keep, now: float) -> dict[str, str]:
    """Versions that channels and their readers need, with the reasons."""
    needed: dict[str, str] = {}
    for name, pointer in channels.channels(store).items():
        needed[pointer.digest] = f"channel {name}"
        if pointer.previous:
            needed.setdefault(pointer.previous, f"before channel {name}'s")
        for digest, left in pointer.left.items():
            if now - left < keep.grace_hours * _HOUR:
                needed.setdefault(digest, f"recently served by channel {name}")
    return needed


def _left_over(store: Store, keep: Keep, now: float) -> dict[str, int]:
    """Withdrawals files that no channel names and that are too old to be about to be named: key → bytes."""
    named = {key_of(each.withdrawals) for each in channels.channels(store).values() if each.withdrawals}
    found = {}
    for key, size in store.list(FOLDER).items():
        with contextlib.suppress(Missing):
            if key not in named and now - store.written(key) >= keep.grace_hours * _HOUR:
                found[key] = size
    return found


def _written(store: Store, digest: str, keys: Mapping[str, int]) -> float | None:
    """When a version was completed, or the latest write of an incomplete one; None if it has disappeared."""
    manifest = f"versions/{digest}/{MANIFEST}"
    with contextlib.suppress(Missing):
        return max(store.written(key) for key in ([manifest] if manifest in keys else keys))
    return None


def _remove(store: Store, digest: str) -> None:
    """Remove the manifest first, so that an interrupted removal leaves no valid version."""
    root = f"versions/{digest}/"
    store.delete(root + MANIFEST)
    for key in store.list(root):
        store.delete(key)
