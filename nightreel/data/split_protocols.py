"""Split protocols: which test splits a data set supports, and which of them the gate uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nightreel.data import splits
from nightreel.data.splits import Events, Fold
from nightreel.errors import UserError
from nightreel.settings.validate import Validate

LAST, GLOBAL = "leave_last_out", "global_time"
NO_CLOCK = "timestamps are positions per user, not times, so a global time split is not possible"


@dataclass(frozen=True)
class Protocol:
    """A split protocol. folds: part of each event by fold name, the latest first; users: test users, pooled over
    folds; cuts: (t_valid, t_test, t_end) per fold, epoch seconds."""

    folds: dict[str, Fold]
    users: int
    cuts: list[tuple[float, float, float]]


@dataclass(frozen=True)
class ProtocolChoice:
    """The protocols of a data set by name, the reasons why others are not available, and the one that the gate uses."""

    protocols: dict[str, Protocol]
    refused: dict[str, str]
    gate: str


def choose(
    events: Events, clock: str, exclude_seen: bool, settings: Validate, earlier: float | None = None
) -> ProtocolChoice:
    """Split by every requested protocol.

    Args:
        events: All clean events.
        clock: `time`, or `order` where timestamps are positions.
        exclude_seen: Whether lists leave out what a user has seen.
        settings: The section `validate`.
        earlier: Time of the last event that an earlier version was trained on, where tonight may go on from it. Then
            the test window of `global_time` is what came later, if enough users can be tested on it.

    Raises:
        UserError: No protocol is available, or not the one for the gate.
    """
    wanted = (GLOBAL, LAST) if settings.protocols in ("auto", "all") else (settings.protocols,)
    protocols: dict[str, Protocol] = {}
    refused: dict[str, str] = {}
    for name in wanted:
        if name == LAST and settings.protocols == "auto" and _decides(protocols, settings):
            continue
        made = _last(events, exclude_seen) if name == LAST else _global(events, clock, exclude_seen, settings, earlier)
        if isinstance(made, Protocol):
            protocols[name] = made
        else:
            refused[name] = made
    protocols = {name: protocols[name] for name in (LAST, GLOBAL) if name in protocols}
    refused = {name: refused[name] for name in (LAST, GLOBAL) if name in refused}
    if not protocols:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise UserError(
            f"events: no test split is possible: {reasons}. Provide more events, or set validate.protocols."
        )
    return ProtocolChoice(protocols, refused, _gate(protocols, refused, settings))


def _last(events: Events, exclude_seen: bool) -> Protocol | str:
    fold = splits.leave_last_out(events, exclude_seen)
    users = len(splits.test_users(events, fold, exclude_seen))
    return Protocol({LAST: fold}, users, []) if users else "no user has positive events on three different items"


def _global(
    events: Events, clock: str, exclude_seen: bool, settings: Validate, earlier: float | None
) -> Protocol | str:
    if clock == "order":
        return NO_CLOCK
    if earlier is not None and (since := _since(events, exclude_seen, settings, earlier)):
        return since
    if 1 - (settings.cuts + 1) * settings.test_share <= 0:
        return f"validate.cuts {settings.cuts} of validate.test_share {settings.test_share:g} leave no training period"
    cuts = splits.cut_moments(events, settings.test_share, settings.cuts)
    names = [GLOBAL] if settings.cuts == 1 else [f"{GLOBAL}_{n}" for n in range(1, settings.cuts + 1)]
    folds = {name: splits.global_time(events, cut) for name, cut in zip(names, cuts, strict=True)}
    users = [splits.test_users(events, fold, exclude_seen) for fold in folds.values()]
    if not all(len(own) for own in users):
        return "a test window has no user with both earlier and new positive events"
    if not all((events.positive & (fold == splits.VALID)).any() for fold in folds.values()):
        return "a validation window has no positive event"
    return Protocol(folds, len(np.unique(np.concatenate(users))), cuts)


def _since(events: Events, exclude_seen: bool, settings: Validate, earlier: float) -> Protocol | None:
    """The split at the end of what an earlier version was trained on, so that its models may be tonight's candidate.
    None where too few users came back since, or more than three times the usual share of the log is newer."""
    later = events.time[events.positive] > earlier
    if settings.cuts != 1 or not later.any() or later.mean() > 3 * settings.test_share:
        return None
    cut = splits.moments_after(events, earlier)
    fold = splits.global_time(events, cut)
    users = splits.test_users(events, fold, exclude_seen)
    return Protocol({GLOBAL: fold}, len(users), [cut]) if len(users) >= settings.gate_users else None


def _gate(protocols: dict[str, Protocol], refused: dict[str, str], settings: Validate) -> str:
    if settings.gate != "auto":
        if settings.gate not in protocols:
            reason = refused.get(settings.gate, f"validate.protocols is {settings.protocols}")
            raise UserError(
                f"validate.gate: {settings.gate} is not available: {reason}. Choose another protocol, or auto."
            )
        return settings.gate
    return GLOBAL if LAST not in protocols or _enough(protocols, settings) else LAST


def _decides(protocols: dict[str, Protocol], settings: Validate) -> bool:
    """Whether the gate uses the time split, so that no other split is needed."""
    return GLOBAL in protocols and (
        settings.gate == GLOBAL or (settings.gate == "auto" and _enough(protocols, settings))
    )


def _enough(protocols: dict[str, Protocol], settings: Validate) -> bool:
    return GLOBAL in protocols and protocols[GLOBAL].users >= settings.gate_users


def describe(
    choice: ProtocolChoice, events: Events, item_ids: Iterable[str], user_ids: Iterable[str]
) -> dict[str, object]:
    """The protocols as stored in splits.json."""
    items, users = list(item_ids), list(user_ids)
    return {
        name: {
            "folds": list(protocol.folds),
            "users": protocol.users,
            "cuts": [list(cut) for cut in protocol.cuts],
            "digest": splits.digest(events, protocol.folds, items, users),
        }
        for name, protocol in choice.protocols.items()
    }
