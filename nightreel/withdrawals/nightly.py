"""Apply the night's withdrawals to a channel, with a safeguard against faulty tables that would hide most items."""

from __future__ import annotations

from dataclasses import dataclass, field

from nightreel.store import channels
from nightreel.store.backends.base import Store
from nightreel.store.channel_pointer import Pointer
from nightreel.store.fence import Fence
from nightreel.store.withdrawals_file import NightlyTables, Withdrawals
from nightreel.store.withdrawals_update import WithdrawalChange, change, compose
from nightreel.withdrawals.live_tables import LiveTables, live_tables

MOST = 0.5
"""Share of the visible items: if more than this would be hidden in one night, the table is considered faulty."""


@dataclass
class Effect:
    """Effect of the night's withdrawals on a channel.

    Attributes:
        items: Number of the version's items that are no longer shown.
        users: Number of its users who are no longer known.
        warnings: What was not applied, and why.
    """

    items: int = 0
    users: int = 0
    warnings: list[str] = field(default_factory=list)


def serving_together(store: Store, channel: str) -> list[str]:
    """The channels that share users with this one: `live` and all with a share; else only itself."""
    pointers = channels.channels(store)
    group = [name for name, pointer in sorted(pointers.items()) if name == "live" or pointer.share > 0]
    if channel in group:
        return group
    return [channel] if channel in pointers else []


def waiting(store: Store, together: list[str]) -> list[str]:
    """Channels without users, if `together` are those that serve the platform's users: they may get a share at any
    time, and must not show withdrawn items then. None for a channel on its own, which is a trial."""
    return sorted(channels.channels(store).keys() - set(together)) if "live" in together else []


def hold(
    store: Store, channel: str, tonight: NightlyTables, now: float, fence: Fence | None, *, fitting: bool = False
) -> tuple[WithdrawalChange, Effect]:
    """Apply the night's tables to a channel, in addition to what was withdrawn by hand.

    Args:
        store: The store.
        channel: A channel that serves a version.
        tonight: The night's tables.
        now: Time at which rights are judged, epoch seconds.
        fence: Fencing token of the run's lock, which must still be valid.
        fitting: Leave the channel unchanged if a part would not be applied: it may belong to another platform.

    Raises:
        StoreError: The version or the present withdrawals can't be read.
        BundleError: Likewise.
        LostLock: Another run has started since.
    """
    effect = Effect()

    def made(seen: Pointer, held: Withdrawals | None) -> Withdrawals | None:
        with live_tables(store, seen.digest) as live:
            file, effect.warnings = guarded(live, tonight, held, now, channel)
            if fitting and effect.warnings:
                effect.warnings = []
                return None
            effect.items = int((live.shown(held, now) & ~live.shown(file, now)).sum())
            effect.users = max(live.known(held) - live.known(file), 0)
            return file

    return change(store, channel, made, fence=fence), effect


def guarded(
    live: LiveTables, tonight: NightlyTables, held: Withdrawals | None, now: float, channel: str
) -> tuple[Withdrawals, list[str]]:
    """The new withdrawals, and warnings about parts that are not applied.

    A table of items that would hide everything, or more than half of what is shown, is considered faulty (an inverted
    column, an empty or truncated file): the items' present rights stay in force. Likewise rules that leave no item.
    Erasures and withdrawals by hand are always applied.
    """
    warnings = []
    before = live.shown(held, now, ruled=False)
    after = live.shown(compose(tonight, held, rules=False), now, ruled=False)
    gone = int((before & ~after).sum())
    items = not gone or (bool(after.any()) and gone <= MOST * int(before.sum()))
    if not items:
        left = sum(item not in tonight.items.all for item in live.items.ids)
        warnings.append(
            f"the table items would hide {gone:,} of the {int(before.sum()):,} items that channel {channel} shows "
            f"({left:,} of the version's items are missing from it, {len(tonight.items.blocked):,} are blocked in it). "
            "That looks like a fault in the data, so the items' rights are left unchanged. Check items.* (blocked, "
            "expires_at, missing rows). If it is intended, it takes effect with the next published version."
        )
    rules = True
    if bool(live.shown(compose(tonight, held, items=items, rules=False), now, ruled=False).any()):
        rules = bool(live.shown(compose(tonight, held, items=items), now).any())
    if not rules:
        warnings.append(
            f"the table rules would leave no item to show in channel {channel}, so its rules are left unchanged. Check "
            "rules.* (only, hide, audience_age)."
        )
    return compose(tonight, held, items=items, rules=rules), warnings
