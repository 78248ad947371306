"""Reads the ids that a command withdraws or restores, and applies them to channels, users as a version's pseudonyms."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.bundle.user_table import key_for
from nightreel.cli.tables import columns_of, read_column
from nightreel.data.contract.editorial_rules import comparable_id
from nightreel.data.ingest.id_forms import plain
from nightreel.data.privacy import pseudonym
from nightreel.errors import UserError
from nightreel.store import channels
from nightreel.store.backends.base import Store, StoreError
from nightreel.store.channel_pointer import Pointer
from nightreel.store.withdrawals_file import Withdrawals, WithdrawalsError, read
from nightreel.store.withdrawals_update import change, given_back, withdrawn
from nightreel.withdrawals.live_tables import LiveTables, live_tables

IDS = ("item_id", "user_id")


@dataclass(frozen=True)
class Named:
    """The ids that files list, in order; users by their original ids, not pseudonyms."""

    items: tuple[str, ...]
    users: tuple[str, ...]

    def without(self, other: Named) -> Named:
        """The ids that the other has not."""
        return Named(
            tuple(item for item in self.items if item not in other.items),
            tuple(user for user in self.users if user not in other.users),
        )

    def __bool__(self) -> bool:
        return bool(self.items or self.users)


def named(file: Path | None, items: Path | None, users: Path | None) -> Named:
    """Read the ids in a command's files.

    Args:
        file: A .csv or .parquet with a column item_id, user_id or both.
        items: A file of item ids, which may hold one id per line.
        users: A file of user ids, which may hold one id per line.

    Raises:
        UserError: No file is given, or one is missing, unreadable or without ids.
    """
    found: dict[str, list[str]] = {name: [] for name in IDS}
    if file is not None:
        there = [name for name in IDS if name in columns_of(file)]
        if not there:
            raise UserError(
                f"{file}: has neither a column item_id nor user_id. Rename the column, or say what the file holds with "
                "--items FILE or --users FILE."
            )
        for name in there:
            found[name] += read_column(file, name)
    for path, name in ((items, "item_id"), (users, "user_id")):
        found[name] += read_column(path, name) if path is not None else []
    if not any(found.values()):
        raise UserError("Nothing to withdraw. Give a FILE with item_id or user_id, --items FILE or --users FILE.")
    return Named(*(tuple(dict.fromkeys(found[name])) for name in IDS))


def unmatched(store: Store, channel: str | None, given: Named) -> Named:
    """The ids that match nothing, in any channel that would change: most likely they are misspelt.

    Raises:
        StoreError: Nothing is published.
    """
    missing = given
    for name in _channels(store, channel):
        pointer = channels.live(store, name)
        if pointer is not None and missing:
            with live_tables(store, pointer.digest) as live:
                tonight = _catalogue(store, pointer)
                known = set(live.users.to_pylist()) if missing.users else set()
                users = zip(missing.users, _users_in(live, missing.users), strict=True)
                missing = Named(
                    tuple(
                        item
                        for item, own in zip(missing.items, _items_in(live, missing.items), strict=True)
                        if live.items.index_of(own) is None and own not in tonight
                    ),
                    tuple(user for user, own in users if own not in known),
                )
    return missing


def _catalogue(store: Store, pointer: Pointer) -> frozenset[str]:
    """Ids of the catalogue that the last night read; empty where that is not known."""
    try:
        held = read(store, pointer.withdrawals)
    except WithdrawalsError:
        return frozenset()
    return held.items.all if held is not None and held.items is not None else frozenset()


def withdraw(
    store: Store, channel: str | None, given: Named, *, anew: bool = False, dry_run: bool = False
) -> list[dict[str, Any]]:
    """Withdraw ids; returns what `_each` does. anew: treat an unreadable withdrawals file as empty."""
    now = time.time()

    def made(held: Withdrawals | None, items: frozenset[str], users: frozenset[str]) -> Withdrawals:
        return withdrawn(held, items, users, now)

    return _each(store, channel, given, made, anew=anew, dry_run=dry_run)


def give_back(store: Store, channel: str | None, given: Named, *, dry_run: bool = False) -> list[dict[str, Any]]:
    """Undo `withdraw` for these ids; returns what `_each` does."""
    return _each(store, channel, given, given_back, anew=False, dry_run=dry_run)


Made = Callable[[Withdrawals | None, frozenset[str], frozenset[str]], Withdrawals]


def _each(
    store: Store, channel: str | None, given: Named, made: Made, *, anew: bool, dry_run: bool
) -> list[dict[str, Any]]:
    """Change one channel, or all of the store.

    Returns:
        Of each channel: {channel, version, items, users, unknown: {items, users}, withdrawals, changed}.

    Raises:
        StoreError: Nothing is published.
        UserError: The version's users are pseudonyms and the key is missing.
    """
    return [_one(store, name, given, made, anew=anew, dry_run=dry_run) for name in _channels(store, channel)]


def _channels(store: Store, channel: str | None) -> list[str]:
    names = [channel] if channel is not None else sorted(channels.channels(store))
    if not names:
        raise StoreError(f"nothing is published yet in {store.uri}: run `nightreel run`.")
    return names


def _one(store: Store, channel: str, given: Named, made: Made, *, anew: bool, dry_run: bool) -> dict[str, Any]:
    summary: dict[str, Any] = {"channel": channel, "items": len(given.items), "users": len(given.users)}

    def shall_hold(seen: Pointer, held: Withdrawals | None) -> Withdrawals | None:
        with live_tables(store, seen.digest) as live:
            users = _users_in(live, given.users)
            file = made(held, frozenset(_items_in(live, given.items)), frozenset(users))
            known = set(live.users.to_pylist()) if users else set()
            summary["unknown"] = {
                "items": [item for item in given.items if live.items.index_of(plain([item])[0]) is None],
                "users": [user for user, there in zip(given.users, users, strict=True) if there not in known],
            }
        summary.update(version=seen.digest, withdrawals=file.sha256, changed=file != (held or Withdrawals()))
        return None if dry_run or not summary["changed"] else file

    change(store, channel, shall_hold, anew=anew)
    return summary


def _items_in(live: LiveTables, items: tuple[str, ...]) -> list[str]:
    """The ids that a version has for items, which may be given with spaces, `.0` or another Unicode form."""
    rows = [
        live.items.index_of(item) if live.items.index_of(item) is not None else live.items.index_of(form)
        for item, form in zip(items, plain(items), strict=True)
    ]
    return [comparable_id(item) if row is None else live.items.ids[row] for item, row in zip(items, rows, strict=True)]


def _users_in(live: LiveTables, users: tuple[str, ...]) -> list[str]:
    """The ids that a version has for users: pseudonyms, if it uses them. As for items, other forms are understood."""
    if not users:
        return []
    known = frozenset(live.users.to_pylist())
    key = key_for(live.key_fingerprint) if live.key_fingerprint is not None else None
    forms = zip(users, plain(users), strict=True)
    names = [[name if key is None else pseudonym(key, name) for name in own] for own in forms]
    return [next((name for name in own if name in known), own[0]) for own in names]
