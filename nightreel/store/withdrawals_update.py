"""Change withdrawals: write a new file, then move the channel's pointer by compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nightreel.store import channels
from nightreel.store.backends.base import Conflict, Store, StoreError
from nightreel.store.channel_pointer import Pointer
from nightreel.store.fence import Fence
from nightreel.store.withdrawals_file import (
    ByHand,
    NightlyTables,
    TableRights,
    Withdrawals,
    WithdrawalsError,
    by_id,
    key_of,
    read,
)

Made = Callable[[Pointer, Withdrawals | None], Withdrawals | None]
"""Maps a channel's pointer and its present withdrawals (None: none yet) to the new ones; None: no change."""


@dataclass(frozen=True)
class WithdrawalChange:
    """Result of a change.

    Attributes:
        channel: Name of the channel.
        digest: The version that it serves.
        before: Withdrawals before the change.
        after: Withdrawals after it; the same if nothing had to change.
    """

    channel: str
    digest: str
    before: Withdrawals | None
    after: Withdrawals | None

    @property
    def moved(self) -> bool:
        """Whether anything changed."""
        return self.before != self.after


def change(
    store: Store, channel: str, made: Made, *, fence: Fence | None = None, anew: bool = False
) -> WithdrawalChange:
    """Change a channel's withdrawals. If another process changes them meanwhile, the change is applied again to its
    result.

    Args:
        store: The store.
        channel: Name of the channel.
        made: Computes the new withdrawals; called again after a conflict.
        fence: Fencing token of a run's lock, which must still be valid.
        anew: Treat an unreadable file as if there were none.

    Raises:
        StoreError: Nothing is published there, or the present withdrawals can't be read.
        LostLock: Another run has started since.
    """
    while True:
        seen = channels.live(store, channel)
        if seen is None:
            raise StoreError(f"{store.uri}: nothing is published in channel {channel}: nothing to withdraw from.")
        before = _held(store, seen, anew)
        after = made(seen, before)
        mark = fence.require(seen.fence) if fence else None
        if after is None or (after.sha256 == seen.withdrawals and before is not None):
            return WithdrawalChange(channel, seen.digest, before, before)
        store.require_swaps()
        put(store, after)
        try:
            channels.withdraw(store, channel, after.sha256, seen=seen, fence=mark)
        except Conflict:
            continue
        settle(store, after)
        return WithdrawalChange(channel, seen.digest, before, after)


def _held(store: Store, seen: Pointer, anew: bool) -> Withdrawals | None:
    try:
        return read(store, seen.withdrawals)
    except WithdrawalsError:
        if anew:
            return None
        raise


def put(store: Store, file: Withdrawals) -> str:
    """Write a file before a pointer names it; returns its SHA-256. An existing file is written again, so that a
    garbage collection takes it for new."""
    store.put(key_of(file.sha256), file.content)
    return file.sha256


def settle(store: Store, file: Withdrawals) -> None:
    """Called after a pointer names the file: a garbage collection may have removed an old file with the same
    content."""
    if not store.exists(key_of(file.sha256)):
        put(store, file)


def compose(tonight: NightlyTables, held: Withdrawals | None, *, items: bool = True, rules: bool = True) -> Withdrawals:
    """Combine a night's tables with the withdrawals in force.

    Args:
        tonight: The night's tables.
        held: The present withdrawals. Their erased users stay erased, and what was withdrawn by hand stays withdrawn.
            Corrections by hand stay while the night's tables say the same as when they were made.
        items: Whether to use the night's items; else the present ones stay.
        rules: Likewise for rules.
    """
    before = held or Withdrawals()
    rights = _with_windows(tonight.items, before.items) if items else before.items
    by_hand = before.by_hand
    if items:
        kept = {item: entry for item, entry in by_hand.rights.items() if entry["was"] == tonight.items.of(item)}
        by_hand = replace(by_hand, rights=kept)
    if rules and by_hand.rules is not None and by_hand.rules["was"] != list(tonight.rules):
        by_hand = replace(by_hand, rules=None)
    return Withdrawals(
        items=rights,
        rules=tonight.rules if rules else before.rules,
        erased=by_id([*before.erased, *tonight.erased]),
        night=tonight.sha256,
        refused=None if items and rules else tonight.sha256,
        by_hand=by_hand,
    )


def _with_windows(tonight: TableRights, held: TableRights | None) -> TableRights:
    """Tonight's rights, with the present availability of items whose rows can't be read tonight."""
    known = [item for item in tonight.unread if held and item in held.all and item not in held.unread]
    if not known or held is None:
        return tonight
    windows = dict(tonight.windows) | {item: held.windows[item] for item in known if item in held.windows}
    return replace(tonight, windows=windows, unread=by_id({*tonight.unread} - {*known}))


def withdrawn(held: Withdrawals | None, items: frozenset[str], users: frozenset[str], now: float) -> Withdrawals:
    """Add items and users withdrawn by hand, `now` (epoch seconds) if they are new."""
    before = held or Withdrawals()
    new = {"since": int(now)}
    by_hand = replace(
        before.by_hand,
        items=dict.fromkeys(sorted(items), new) | dict(before.by_hand.items),
        users=dict.fromkeys(sorted(users), new) | dict(before.by_hand.users),
    )
    return replace(before, by_hand=by_hand)


def of_a_new_channel(store: Store) -> Withdrawals:
    """Withdrawals of a new channel: all that was withdrawn by hand from the store's other channels, because a takedown
    applies to whatever is served.

    Raises:
        WithdrawalsError: The withdrawals of one of them can't be read.
    """
    items: dict[str, Any] = {}
    users: dict[str, Any] = {}
    for pointer in channels.channels(store).values():
        file = read(store, pointer.withdrawals) or Withdrawals()
        items |= file.by_hand.items
        users |= file.by_hand.users
    return Withdrawals(by_hand=ByHand(items, users))


def given_back(held: Withdrawals | None, items: frozenset[str], users: frozenset[str]) -> Withdrawals:
    """Remove withdrawals by hand of these items and users."""
    before = held or Withdrawals()
    by_hand: ByHand = replace(
        before.by_hand,
        items={item: entry for item, entry in before.by_hand.items.items() if item not in items},
        users={user: entry for user, entry in before.by_hand.users.items() if user not in users},
    )
    return replace(before, by_hand=by_hand)
