"""What is live: channel pointers, the lineage of versions, and recipes that a rollback has blocked.

channels/<name>.json          {"digest", "previous", "generation"}: changed by compare-and-swap alone
versions/<digest>/…           a bundle, immutable; its manifest.json makes it complete
versions/<digest>/lineage.json  where it came from: {"recipe", "predecessor", "published_at", …}
blocked/<recipe>.json         {"recipe", "digest", "blocked": true | false, "changed_at"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.index.bundle import LINEAGE, MANIFEST
from tasks.index.store import Missing, Store, StoreError, Token


@dataclass(frozen=True)
class Pointer:
    """A channel's state. previous: the version that this one took over from, by its own publication's record."""

    digest: str
    previous: str | None
    generation: int
    token: Token


def live(store: Store, channel: str = "live") -> Pointer | None:
    """What the channel points to; None when nothing was ever published there."""
    found = store.get_with_token(_channel_key(channel))
    if found is None:
        return None
    value = _parse(store, _channel_key(channel), found[0], ("digest", "previous", "generation"))
    return Pointer(value["digest"], value["previous"], value["generation"], found[1])


def move(store: Store, channel: str, digest: str, *, previous: str | None, seen: Pointer | None) -> Pointer:
    """Point the channel at a version, provided that it still is as `seen`; raises Conflict otherwise."""
    # The generation makes each pointer's content unique, so a token never fits a later, equal state.
    generation = seen.generation + 1 if seen else 1
    content = {"digest": digest, "previous": previous, "generation": generation}
    token = store.compare_and_swap(_channel_key(channel), seen.token if seen else None, _json(content))
    return Pointer(digest, previous, generation, token)


def lineage(store: Store, digest: str) -> dict[str, Any]:
    """The record written beside a version; empty when there is none."""
    key = f"versions/{digest}/{LINEAGE}"
    try:
        return _parse(store, key, store.get(key))
    except Missing:
        return {}


def versions(store: Store) -> list[str]:
    """Digests of the complete versions in the store, in no order that means anything."""
    suffix = f"/{MANIFEST}"
    return [k.split("/")[1] for k in store.list("versions/") if k.endswith(suffix) and k.count("/") == 2]


def channels(store: Store) -> dict[str, Pointer]:
    """Every channel with what it points to."""
    names = [key.removeprefix("channels/").removesuffix(".json") for key in store.list("channels/")]
    return {name: pointer for name in names if (pointer := live(store, name)) is not None}


def find(store: Store, version: str) -> str:
    """The digest of a complete version by its first characters; raises StoreError when none or several fit."""
    fitting = [digest for digest in versions(store) if digest.startswith(version)]
    if len(fitting) == 1:
        return fitting[0]
    fault = f"{len(fitting)} versions begin with it: give more characters" if fitting else "no such version"
    raise StoreError(f"{store.uri}: {version!r}: {fault}. `nightreel versions` lists them.")


def resolve(store: Store, channel: str, version: str | None) -> str:
    """The digest that a channel points to, or that `version` begins; raises StoreError."""
    if version is not None:
        return version if len(version) == 64 else find(store, version)
    pointer = live(store, channel)
    if pointer is None:
        where = f"{store.uri}" + ("" if channel == "live" else f", channel {channel}")
        raise StoreError(f"nothing is published yet in {where}: run `nightreel run`.")
    return pointer.digest


def blocked(store: Store) -> list[str]:
    """Recipes that must not be promoted, sorted."""
    records = [_parse(store, key, store.get(key), ("recipe", "blocked")) for key in store.list("blocked/")]
    return sorted(record["recipe"] for record in records if record["blocked"])


def rollback(store: Store, channel: str, version: str | None = None) -> tuple[str, str]:
    """Put the channel back to a kept version (default: the live one's predecessor) and block the recipe of what
    was live, so that the next run does not promote it again. Returns (digest left, digest now live).
    """
    seen = live(store, channel)
    if seen is None:
        raise StoreError(f"{store.uri}: nothing is published in channel {channel}: there is nothing to roll back.")
    target = find(store, version) if version else seen.previous
    if target is None:
        raise StoreError(f"{store.uri}: {seen.digest[:12]} has no predecessor. Name a version: `nightreel versions`.")
    if target == seen.digest:
        raise StoreError(f"{store.uri}: {target[:12]} is live already. Name another version: `nightreel versions`.")
    record = lineage(store, find(store, target))
    if record.get("recipe") in blocked(store):
        raise StoreError(f"{store.uri}: {target[:12]} is blocked itself. First: `nightreel release {target[:12]}`.")
    # Blocked first: killed in between, the worst is a live version that no later run promotes again.
    _block(store, seen.digest, True)
    move(store, channel, target, previous=record.get("predecessor"), seen=seen)
    return seen.digest, target


def release(store: Store, version: str) -> str:
    """Let a version's recipe be promoted again; returns the recipe. The channel stays where it is."""
    return _block(store, find(store, version), False)


def _block(store: Store, digest: str, state: bool) -> str:
    recipe = lineage(store, digest).get("recipe")
    if not recipe:
        raise StoreError(f"{store.uri}: {digest[:12]} has no recorded recipe, so it can't be blocked or released.")
    changed_at = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"recipe": recipe, "digest": digest, "blocked": state, "changed_at": changed_at}
    store.put(f"blocked/{recipe}.json", _json(record))
    return str(recipe)


def _channel_key(channel: str) -> str:
    return f"channels/{channel}.json"


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _parse(store: Store, key: str, content: bytes, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not value.keys() >= set(needs):
        raise StoreError(f"{store.uri}: {key} is damaged. Restore it, or name another store in NIGHTREEL_STORE.")
    return value
