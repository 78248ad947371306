"""Channels: pointers to versions, the lineage of versions, and recipes that a rollback has blocked.

channels/<name>.json          {"format", "version", "withdrawals", "previous", "generation", "share", "left", "fence",
                              "sha256"}: a Pointer, changed only by compare-and-swap; sha256 covers the other fields
withdrawals/<sha256>.json     items and users that may not be shown, for any version: nightreel.store.withdrawals_file
versions/<digest>/…           a bundle, immutable; its manifest.json makes it complete
versions/<digest>/lineage.json  where it came from: {"recipe", "predecessor", "published_at", …}
blocked/<recipe>.json         {"recipe", "candidate", "digest", "blocked": true | false, "changed_at"}
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nightreel.bundle.format import LINEAGE, MANIFEST
from nightreel.store import channel_pointer as pointers
from nightreel.store import newest_generation, records
from nightreel.store.backends.base import Conflict, Missing, Store, StoreError, Token
from nightreel.store.channel_pointer import Pointer

COLLECTING = "collecting.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LEFT_KEPT = 64


def live(store: Store, channel: str = "live") -> Pointer | None:
    """The channel's pointer; None if nothing was ever published there. Raises StoreError for one that is older than
    a pointer that was read before."""
    found = store.get_with_token(_channel_key(channel))
    if found is None:
        newest_generation.forget(store, channel)
        return None
    pointer = pointers.read(store, _channel_key(channel), *found)
    newest_generation.require(store, channel, pointer.generation)
    return pointer


def move(
    store: Store,
    channel: str,
    digest: str,
    *,
    previous: str | None,
    seen: Pointer | None,
    fence: Mapping[str, Any] | None = None,
    withdrawals: str | None = None,
) -> Pointer:
    """Point the channel at a version, if its pointer still is `seen`.

    Args:
        store: The store.
        channel: Name of the channel.
        digest: The version.
        previous: Its predecessor.
        seen: The pointer as it was read; None: there was none.
        fence: The run's fencing token.
        withdrawals: SHA-256 of the new withdrawals file; None: keep the present one.

    Raises:
        Conflict: The pointer has changed.
    """
    if seen is None:
        first = Pointer(digest, previous, 0, Token(""), fence=fence, withdrawals=withdrawals)
        return _swap(store, channel, first, None)
    left = {**seen.left, seen.digest: time.time()} if seen.digest != digest else dict(seen.left)
    newest = sorted(left, key=left.__getitem__)[-_LEFT_KEPT:]
    left = {version: left[version] for version in newest if version != digest}
    moved = replace(seen, digest=digest, previous=previous, left=left, fence=fence or seen.fence)
    return _swap(store, channel, replace(moved, withdrawals=withdrawals or seen.withdrawals), seen)


def withdraw(
    store: Store, channel: str, withdrawals: str, *, seen: Pointer, fence: Mapping[str, Any] | None = None
) -> Pointer:
    """Replace the channel's withdrawals file, if its pointer still is `seen`; raises Conflict otherwise."""
    return _swap(store, channel, replace(seen, withdrawals=withdrawals, fence=fence or seen.fence), seen)


def touch(store: Store, channel: str) -> Pointer | None:
    """Give the pointer a new token and change nothing else: a process that has read it must read it again to move
    it."""
    while (seen := live(store, channel)) is not None:
        try:
            return _swap(store, channel, seen, seen)
        except Conflict:
            continue
    return None


def set_share(store: Store, channel: str, share: float) -> Pointer:
    """Set the share (0 to 1) of users that the channel serves; raises StoreError if all shares exceed 1."""
    pointers = channels(store)
    if channel == "live" or channel not in pointers:
        known = ", ".join(sorted(set(pointers) - {"live"})) or "none yet"
        raise StoreError(
            f"{store.uri}: {channel}: its share can't be set. Choose another channel: {known}. `live` always serves "
            "the remaining users."
        )
    total = share + sum(each.share for name, each in pointers.items() if name not in (channel, "live"))
    if not 0 <= share <= 1 or total > 1 + 1e-9:
        raise StoreError(
            f"{store.uri}: channel {channel}: with a share of {share:g} all shares add up to {total:g}. The maximum "
            "is 1."
        )
    return _swap(store, channel, replace(pointers[channel], share=share), pointers[channel])


def assigned(user: str, pointers: Mapping[str, Pointer]) -> str:
    """Name of the channel that serves a user: the same on every machine, as long as the shares stay the same.

    The user's hash is a number between 0 and 1. Channels other than `live` take intervals of the size of their shares
    from 0 on, in the order of their names, so a single canary keeps its users when its share grows.
    """
    place = int.from_bytes(hashlib.sha256(user.encode()).digest()[:8], "big") / 2**64
    edge = 0.0
    for name in sorted(set(pointers) - {"live"}):
        edge += pointers[name].share
        if place < edge:
            return name
    return "live"


def _swap(store: Store, channel: str, wanted: Pointer, seen: Pointer | None) -> Pointer:
    # The generation makes each pointer's content unique, so a token never matches a later, equal state.
    generation = seen.generation + 1 if seen else 1
    content = pointers.written(wanted, generation)
    token = store.compare_and_swap(_channel_key(channel), seen.token if seen else None, content)
    newest_generation.require(store, channel, generation)
    return replace(wanted, generation=generation, token=token)


def lineage(store: Store, digest: str) -> dict[str, Any]:
    """The lineage record of a version; empty if there is none."""
    key = f"versions/{digest}/{LINEAGE}"
    try:
        return records.parse(store, key, store.get(key))
    except Missing:
        return {}


def versions(store: Store, beginning: str = "") -> list[str]:
    """Digests of the complete versions that begin so, in no particular order."""
    if len(beginning) == 64:
        return [beginning] if store.exists(f"versions/{beginning}/{MANIFEST}") else []
    suffix, keys = f"/{MANIFEST}", store.list(f"versions/{beginning}")
    return [k.split("/")[1] for k in keys if k.endswith(suffix) and k.count("/") == 2]


def channels(store: Store) -> dict[str, Pointer]:
    """All channels with their pointers."""
    names = [key.removeprefix("channels/").removesuffix(".json") for key in store.list("channels/")]
    return {name: pointer for name in names if (pointer := live(store, name)) is not None}


def find(store: Store, version: str) -> str:
    """The digest of a complete version by its first characters; raises StoreError if there is none or several.

    Lists only versions that begin so, however many others the store holds.
    """
    fitting = versions(store, version) if not version or version.isalnum() else []
    if len(fitting) == 1:
        return fitting[0]
    fault = f"{len(fitting)} versions begin with it; give more characters" if fitting else "no such version"
    raise StoreError(f"{store.uri}: {version!r}: {fault}. `nightreel versions` lists them.")


def resolve(store: Store, channel: str, version: str | None) -> str:
    """The digest that a channel points to, or that begins with `version`; raises StoreError."""
    if version is not None:
        return version if len(version) == 64 else find(store, version)
    pointer = live(store, channel)
    if pointer is None:
        where = f"{store.uri}" + ("" if channel == "live" else f", channel {channel}")
        raise StoreError(f"nothing is published yet in {where}: run `nightreel run`.")
    return pointer.digest


def opened(store: Store, channel: str, version: str | None) -> tuple[str, str | None]:
    """The digest to open, as in `resolve`, and the SHA-256 of the channel's withdrawals file, if any."""
    pointer = live(store, channel)
    if pointer is not None and version is None:
        return pointer.digest, pointer.withdrawals
    return resolve(store, channel, version), pointer.withdrawals if pointer else None


def blocked(store: Store) -> list[str]:
    """Recipes that may not be promoted, sorted."""
    return sorted(record["recipe"] for record in _blocks(store))


def blocked_runs(store: Store) -> list[str]:
    """Recipes that may not be promoted, then the candidates that their versions were made of, since another recipe may
    make the same one; each sorted."""
    found = _blocks(store)
    candidates = {record["candidate"] for record in found if record.get("candidate")}
    return [*sorted(record["recipe"] for record in found), *sorted(candidates)]


def _blocks(store: Store) -> list[dict[str, Any]]:
    """The records of blocked recipes that were not released."""
    found = [records.parse(store, key, store.get(key), ("recipe", "blocked")) for key in store.list("blocked/")]
    return [record for record in found if record["blocked"]]


def is_blocked(store: Store, recipe: str | None) -> bool:
    """Whether this recipe may not be promoted."""
    found = store.get_with_token(_block_key(recipe)) if recipe else None
    return found is not None and bool(records.parse(store, _block_key(str(recipe)), found[0], ("blocked",))["blocked"])


def collecting(store: Store) -> list[str]:
    """Versions that garbage collection is removing; no pointer may be moved to them."""
    found = store.get_with_token(COLLECTING)
    return [] if found is None else list(records.parse(store, COLLECTING, found[0], ("versions",))["versions"])


def rollback(store: Store, channel: str, version: str | None = None) -> tuple[str, str]:
    """Move the channel back to a kept version and block the recipe of the live one, so that the next run does not
    promote it again.

    The number of small requests does not depend on the number of versions, blocks and channels.

    Args:
        store: The store.
        channel: Name of the channel.
        version: Digest or its first characters; default: the live version's predecessor.

    Returns:
        (digest of the version left, digest of the live version).

    Raises:
        StoreError: There is no such version, or it can't be served.
    """
    seen = live(store, channel)
    if seen is None:
        raise StoreError(f"{store.uri}: nothing is published in channel {channel}: nothing to roll back.")
    target = find(store, version) if version else seen.previous
    if target is None:
        raise StoreError(f"{store.uri}: {seen.digest[:12]} has no predecessor. Name a version: `nightreel versions`.")
    if target == seen.digest:
        raise StoreError(f"{store.uri}: {target[:12]} is live already. Name another version: `nightreel versions`.")
    record = lineage(store, find(store, target))
    if is_blocked(store, record.get("recipe")):
        raise StoreError(f"{store.uri}: {target[:12]} is blocked. Unblock it first: `nightreel release {target[:12]}`.")
    if target in collecting(store):
        raise StoreError(f"{store.uri}: {target[:12]} is being removed. Name another version: `nightreel versions`.")
    # Blocked first: if killed in between, the worst case is a live version that no later run promotes again.
    _block(store, seen.digest, True)
    move(store, channel, target, previous=record.get("predecessor"), seen=seen)
    return seen.digest, target


def release(store: Store, version: str) -> str:
    """Allow a version's recipe to be promoted again; returns the recipe. The channel is not moved."""
    return _block(store, find(store, version), False)


def _block(store: Store, digest: str, state: bool) -> str:
    facts = lineage(store, digest)
    recipe = facts.get("recipe")
    if not recipe:
        raise StoreError(f"{store.uri}: {digest[:12]} has no recorded recipe, so it can't be blocked or released.")
    changed_at = datetime.now(UTC).isoformat(timespec="seconds")
    record = {
        "recipe": recipe,
        "candidate": facts.get("candidate"),
        "digest": digest,
        "blocked": state,
        "changed_at": changed_at,
    }
    store.put(_block_key(recipe), records.written(record))
    return str(recipe)


def _block_key(recipe: str) -> str:
    return f"blocked/{recipe}.json"


def _channel_key(channel: str) -> str:
    if not _NAME.fullmatch(channel):
        raise StoreError(
            f"{channel!r}: not a valid channel name. Use lower-case letters, digits, _ and -, at most 63 characters."
        )
    return f"channels/{channel}.json"
