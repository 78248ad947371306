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
"""Of the items that are shown: when more than this would go in one night, the table is taken for broken."""


@dataclass
class Effect:
    """What tonight's withdrawals come to in a channel.

    Args:
        items: how many items of the version are no longer shown.
        users: how many of its users are no longer known.
        warnings: what was not taken over, and why.
    """

    items: int = 0
    users: int = 0
    warnings: list[str] = field(default_factory=list)


def serving_together(store: Store, channel: str) -> list[str]:
    """The channels that serve the same users as this one: `live` and all with a share of its users; else itself."""
    pointers = channels.channels(store)
    group = [name for name, pointer in sorted(pointers.items()) if name == "live" or pointer.share > 0]
    if channel in group:
        return group
    return [channel] if channel in pointers else []


def waiting(store: Store, together: list[str]) -> list[str]:
    """The channels that serve nobody yet, beside those which serve the platform's users: a share may open one any day,
    and it must not show by then what was withdrawn meanwhile. None beside a channel on its own, which is a trial."""
    return sorted(channels.channels(store).keys() - set(together)) if "live" in together else []


def hold(
    store: Store, channel: str, told: NightlyTables, now: float, fence: Fence | None, *, fitting: bool = False
) -> tuple[WithdrawalChange, Effect]:
    """Let what tonight's tables say hold in a channel, beside what was withdrawn by hand.

    Args:
        store: where the channel is.
        channel: a channel that serves a version.
        told: what the tables say.
        now: the moment at which rights are judged, epoch seconds.
        fence: the lock that the run must still hold.
        fitting: leave the channel alone where a part would not be taken over: it may be of another platform.

    Raises:
        StoreError, BundleError: the version or what holds can't be read.
        LostLock: another run has begun since.
    """
    effect = Effect()

    def made(seen: Pointer, held: Withdrawals | None) -> Withdrawals | None:
        with live_tables(store, seen.digest) as live:
            file, effect.warnings = guarded(live, told, held, now, channel)
            if fitting and effect.warnings:
                effect.warnings = []
                return None
            effect.items = int((live.shown(held, now) & ~live.shown(file, now)).sum())
            effect.users = max(live.known(held) - live.known(file), 0)
            return file

    return change(store, channel, made, fence=fence), effect


def guarded(
    live: LiveTables, told: NightlyTables, held: Withdrawals | None, now: float, channel: str
) -> tuple[Withdrawals, list[str]]:
    """What shall hold, and warnings about what is not taken over.

    A table of items after which nothing, or less than half, of what is shown would be left is taken for broken (an
    inverted column, an empty or cut file): items then keep the rights that they have. So do rules after which no item
    is left. Erased users and what was withdrawn by hand are never put off.
    """
    warnings = []
    before = live.shown(held, now, ruled=False)
    after = live.shown(compose(told, held, rules=False), now, ruled=False)
    gone = int((before & ~after).sum())
    items = not gone or (bool(after.any()) and gone <= MOST * int(before.sum()))
    if not items:
        left = sum(item not in told.items.all for item in live.items.ids)
        warnings.append(
            f"the table items would hide {gone:,} of the {int(before.sum()):,} items that channel {channel} shows "
            f"({left:,} of the version's items are missing from it, {len(told.items.blocked):,} are blocked in it). "
            "That looks like a fault in the data, so the items' rights are left unchanged. Check items.* (blocked, "
            "expires_at, missing rows). If it is intended, it takes effect with the next published version."
        )
    rules = True
    if bool(live.shown(compose(told, held, items=items, rules=False), now, ruled=False).any()):
        rules = bool(live.shown(compose(told, held, items=items), now).any())
    if not rules:
        warnings.append(
            f"the table rules would leave no item to show in channel {channel}, so its rules are left unchanged. Check "
            "rules.* (only, hide, audience_age)."
        )
    return compose(told, held, items=items, rules=rules), warnings
