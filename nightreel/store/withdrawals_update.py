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
"""From a channel's pointer and what holds there (None: nothing yet) to what shall hold; None: all stays as it is."""


@dataclass(frozen=True)
class WithdrawalChange:
    """What a change did to a channel.

    Args:
        channel: its name.
        digest: the version that it serves.
        before, after: what held, and what holds; the same where nothing had to change.
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
    """Let other withdrawals hold in a channel. Whoever else changes it meanwhile is not undone: it is tried again on
    what they left.

    Args:
        store: where the channel is.
        channel: its name.
        made: says what shall hold; called again after a conflict.
        fence: the lock that a run must still hold.
        anew: take a file that can't be read for none.

    Raises:
        StoreError: nothing is published there, or what holds can't be read.
        LostLock: another run has begun since.
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
    """Write a file, before a pointer names it; returns its SHA-256. Written again where it is there already, so that a
    collection takes it for young."""
    store.put(key_of(file.sha256), file.content)
    return file.sha256


def settle(store: Store, file: Withdrawals) -> None:
    """After a pointer names it: a collection that had chosen an old file of the same content may have removed it."""
    if not store.exists(key_of(file.sha256)):
        put(store, file)


def compose(told: NightlyTables, held: Withdrawals | None, *, items: bool = True, rules: bool = True) -> Withdrawals:
    """What a night's tables say, with what is kept of what held before.

    Args:
        told: tonight's tables.
        held: what holds by now. Its erased users stay erased, and what was withdrawn by hand stays withdrawn. What was
            put right by hand stays while tonight's tables say the same as when it was put right.
        items: take tonight's items over; else they are kept as they are live.
        rules: likewise.
    """
    before = held or Withdrawals()
    rights = _with_windows(told.items, before.items) if items else before.items
    by_hand = before.by_hand
    if items:
        kept = {item: entry for item, entry in by_hand.rights.items() if entry["was"] == told.items.of(item)}
        by_hand = replace(by_hand, rights=kept)
    if rules and by_hand.rules is not None and by_hand.rules["was"] != list(told.rules):
        by_hand = replace(by_hand, rules=None)
    return Withdrawals(
        items=rights,
        rules=told.rules if rules else before.rules,
        erased=by_id([*before.erased, *told.erased]),
        night=told.sha256,
        refused=None if items and rules else told.sha256,
        by_hand=by_hand,
    )


def _with_windows(tonight: TableRights, held: TableRights | None) -> TableRights:
    """Tonight's rights, with the windows that held for items whose rows can't be read tonight."""
    known = [item for item in tonight.unread if held and item in held.all and item not in held.unread]
    if not known or held is None:
        return tonight
    windows = dict(tonight.windows) | {item: held.windows[item] for item in known if item in held.windows}
    return replace(tonight, windows=windows, unread=by_id({*tonight.unread} - {*known}))


def withdrawn(held: Withdrawals | None, items: frozenset[str], users: frozenset[str], now: float) -> Withdrawals:
    """The same, with items and users withdrawn by hand, since `now` (epoch seconds) where they weren't yet."""
    before = held or Withdrawals()
    new = {"since": int(now)}
    by_hand = replace(
        before.by_hand,
        items=dict.fromkeys(sorted(items), new) | dict(before.by_hand.items),
        users=dict.fromkeys(sorted(users), new) | dict(before.by_hand.users),
    )
    return replace(before, by_hand=by_hand)


def of_a_new_channel(store: Store) -> Withdrawals:
    """What holds in a channel that begins: all that was withdrawn by hand from the store's other channels, since a
    takedown means whatever is served.

    Raises:
        WithdrawalsError: what holds in one of them can't be read.
    """
    items: dict[str, Any] = {}
    users: dict[str, Any] = {}
    for pointer in channels.channels(store).values():
        file = read(store, pointer.withdrawals) or Withdrawals()
        items |= file.by_hand.items
        users |= file.by_hand.users
    return Withdrawals(by_hand=ByHand(items, users))


def given_back(held: Withdrawals | None, items: frozenset[str], users: frozenset[str]) -> Withdrawals:
    """The same, without what was withdrawn by hand of these."""
    before = held or Withdrawals()
    by_hand: ByHand = replace(
        before.by_hand,
        items={item: entry for item, entry in before.by_hand.items.items() if item not in items},
        users={user: entry for user, entry in before.by_hand.users.items() if user not in users},
    )
    return replace(before, by_hand=by_hand)
