"""What a person withdraws from channels, or gives back: ids from files, in the names that a version has for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightreel.bundle.user_table import key_for
from nightreel.cli.tables import columns_of, read_column
from nightreel.data.privacy import pseudonym
from nightreel.errors import UserError
from nightreel.store import channels
from nightreel.store.backends.base import Store, StoreError
from nightreel.store.channel_pointer import Pointer
from nightreel.store.withdrawals_file import Withdrawals
from nightreel.store.withdrawals_update import change, given_back, withdrawn
from nightreel.withdrawals.live_tables import LiveTables, live_tables

IDS = ("item_id", "user_id")


@dataclass(frozen=True)
class Named:
    """The ids that files name, in order; users by their own ids."""

    items: tuple[str, ...]
    users: tuple[str, ...]


def named(file: Path | None, items: Path | None, users: Path | None) -> Named:
    """The ids in the files of a command.

    Args:
        file: A .csv or .parquet whose columns say what it names.
        items, users: Files of one kind each; they may hold an id a line.

    Raises:
        UserError: no file is given, or one is missing, unreadable or names nothing.
    """
    found: dict[str, list[str]] = {name: [] for name in IDS}
    if file is not None:
        there = [name for name in IDS if name in columns_of(file)]
        if not there:
            raise UserError(
                f"{file}: has neither a column item_id nor user_id. Name the column, or say what it holds: "
                "--items FILE or --users FILE."
            )
        for name in there:
            found[name] += read_column(file, name)
    for path, name in ((items, "item_id"), (users, "user_id")):
        found[name] += read_column(path, name) if path is not None else []
    if not any(found.values()):
        raise UserError("Nothing to do: name a FILE with item_id or user_id, or give --items FILE or --users FILE.")
    return Named(*(tuple(dict.fromkeys(found[name])) for name in IDS))


def withdraw(
    store: Store, channel: str | None, given: Named, *, anew: bool = False, dry_run: bool = False
) -> list[dict[str, Any]]:
    """Withdraw by hand; see `_each` for what is returned. anew: take a file that can't be read for none."""
    now = time.time()

    def made(held: Withdrawals | None, items: frozenset[str], users: frozenset[str]) -> Withdrawals:
        return withdrawn(held, items, users, now)

    return _each(store, channel, given, made, anew=anew, dry_run=dry_run)


def give_back(store: Store, channel: str | None, given: Named, *, dry_run: bool = False) -> list[dict[str, Any]]:
    """Undo `withdraw` for these ids; see `_each` for what is returned."""
    return _each(store, channel, given, given_back, anew=False, dry_run=dry_run)


Made = Callable[[Withdrawals | None, frozenset[str], frozenset[str]], Withdrawals]


def _each(
    store: Store, channel: str | None, given: Named, made: Made, *, anew: bool, dry_run: bool
) -> list[dict[str, Any]]:
    """Change a channel, or all: {channel, version, items, users, unknown: {items, users}, withdrawals, changed} each.

    Raises StoreError where nothing is published, UserError where a key of pseudonyms is needed and missing.
    """
    names = [channel] if channel is not None else sorted(channels.channels(store))
    if not names:
        raise StoreError(f"nothing is published yet in {store.uri}: run `nightreel run`.")
    return [_one(store, name, given, made, anew=anew, dry_run=dry_run) for name in names]


def _one(store: Store, channel: str, given: Named, made: Made, *, anew: bool, dry_run: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"channel": channel, "items": len(given.items), "users": len(given.users)}

    def shall_hold(seen: Pointer, held: Withdrawals | None) -> Withdrawals | None:
        with live_tables(store, seen.digest) as live:
            users = _as_there(live, given.users)
            file = made(held, frozenset(given.items), frozenset(users))
            known = set(live.users.to_pylist()) if users else set()
            told["unknown"] = {
                "items": [item for item in given.items if live.items.index_of(item) is None],
                "users": [user for user, there in zip(given.users, users, strict=True) if there not in known],
            }
        told.update(version=seen.digest, withdrawals=file.sha256, changed=file != (held or Withdrawals()))
        return None if dry_run or not told["changed"] else file

    change(store, channel, shall_hold, anew=anew)
    return told


def _as_there(live: LiveTables, users: tuple[str, ...]) -> list[str]:
    """What a version calls users."""
    if live.key_fingerprint is None or not users:
        return list(users)
    key = key_for(live.key_fingerprint)
    return [pseudonym(key, user) for user in users]
