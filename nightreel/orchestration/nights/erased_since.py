"""Finds the users of a night's data who were erased since: their data must not be used again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from nightreel.errors import UserError
from nightreel.stage import read_json
from nightreel.store import channels
from nightreel.store.backends.base import Store
from nightreel.store.remote_files import manifest_of
from nightreel.store.withdrawals_file import read

SNAPSHOT = "data/snapshot"


def erased_users(store: Store, key_fingerprint: str | None) -> frozenset[str]:
    """Users who are erased or withdrawn in any channel now.

    Args:
        store: The store.
        key_fingerprint: Of the pseudonym key of the data that they are looked for in; None: ids are plain.

    Raises:
        UserError: A channel names erased users under another key, so that they can't be looked for.
    """
    found = set[str]()
    for name, pointer in channels.channels(store).items():
        held = read(store, pointer.withdrawals)
        if held is None or not held.users:
            continue
        if manifest_of(store, pointer.digest).config["key_fingerprint"] != key_fingerprint:
            raise UserError(
                f"channel {name} names {len(held.users):,} erased users under another pseudonym key than this data "
                "has, so they can't be looked for in it."
            )
        found |= held.users
    return frozenset(found)


def erased_since(store: Store, snapshot: Mapping[str, Path]) -> int:
    """Count the users of a night's snapshot who were erased after that night.

    Args:
        store: The store, whose channels say who is erased.
        snapshot: The files of the night's `data/snapshot`: relative path → file.

    Raises:
        UserError: The erased users can't be looked for.
    """
    erased = erased_users(store, read_json(snapshot["source.json"])["key_fingerprint"])
    if not erased:
        return 0
    then = {*_users([snapshot["erasures.parquet"]]), *read_json(snapshot["forgotten.json"])["users"]}
    told = (file for name, file in snapshot.items() if name.startswith("events/") or name == "users.parquet")
    return len((erased - then) & _users(told))


def in_folder(folder: Path) -> dict[str, Path]:
    """The files of a snapshot that was checked out."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def require_nobody_erased(store: Store, root: Path, what: str) -> None:
    """Refuse to use a night's data if somebody in them was erased since.

    Args:
        store: The store, whose channels say who is erased.
        root: The folder of the night.
        what: What would be made of them, for the message.

    Raises:
        UserError: Somebody was erased since, or that can't be told.
    """
    try:
        gone = erased_since(store, in_folder(root / SNAPSHOT))
    except UserError as error:
        raise UserError(f"{what}: can't be made again: {error}") from None
    if gone:
        raise UserError(
            f"{what}: can't be made again: {gone:,} of the users in its data were erased since, and their data must "
            "not be used. The next night makes a version without them."
        )


def _users(files: Iterable[Path]) -> frozenset[str]:
    found = set[str]()
    for file in files:
        found.update(pq.read_table(file, columns=["user_id"])["user_id"].drop_null().unique().to_pylist())
    return frozenset(found)
