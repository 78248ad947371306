"""A withdrawals file: items that may not be shown and users who are forgotten, for whatever version is served.

    withdrawals/<sha256>.json   canonical JSON, immutable, named by the SHA-256 of its bytes

It holds the contents of a night's tables (the catalogue, blocked items, windows of availability, erased users, rules),
and what was withdrawn or restored by hand, which stays from night to night. Its rights replace the version's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from nightreel.store.backends.base import Missing, Store, StoreError

FORMAT = 1
FOLDER = "withdrawals/"
Window = tuple[float | None, float | None]
"""published_at and expires_at in epoch seconds; None: no such bound."""


class WithdrawalsError(StoreError):
    """The withdrawals file of a channel can't be read: nothing is shown rather than withdrawn items."""


@dataclass(frozen=True)
class TableRights:
    """Rights by a table of items.

    Attributes:
        catalogue: Ids of all its items, ascending; other items of a version have left the catalogue.
        blocked: Ids of blocked items, ascending.
        windows: Availability of the items that have a bound.
        unread: Ids of items with an invalid row: their availability stays unchanged.
    """

    catalogue: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    windows: Mapping[str, Window] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def of(self, item: str) -> list[Any] | None:
        """[blocked, published_at, expires_at] of an item; None for one that is not in the catalogue."""
        if item not in self.all:
            return None
        return [item in self.not_permitted, *self.windows.get(item, (None, None))]

    @cached_property
    def all(self) -> frozenset[str]:
        """The catalogue as a set."""
        return frozenset(self.catalogue)

    @cached_property
    def not_permitted(self) -> frozenset[str]:
        """The blocked items as a set."""
        return frozenset(self.blocked)


Rule = dict[str, Any]
"""A row of the table `rules`: rule, target, value, starts_at and ends_at (epoch seconds, or null)."""


@dataclass(frozen=True)
class NightlyTables:
    """Contents of one night's tables. erased: user ids as in the version's table, ascending."""

    items: TableRights
    erased: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def content(self) -> bytes:
        """As written into data/withdraw: without times, hosts or the store's state."""
        return canonical({"format": FORMAT, **_plain(self)})

    @property
    def sha256(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def parse(cls, content: bytes) -> NightlyTables:
        """Parse `content`; raises ValueError, KeyError or TypeError if it is invalid."""
        value = json.loads(content)
        return cls(_rights(value["items"]), tuple(value["erased"]), tuple(value["rules"]))


@dataclass(frozen=True)
class ByHand:
    """Changes made by hand, each entry with the time `since` which it applies (epoch seconds).

    Attributes:
        items: Withdrawn until they are restored: id → {"since"}.
        users: Likewise.
        rights: Corrected rights of an item: id → {"since", "is", "was"}; `is` and `was` as in TableRights.of. An entry
            applies while the source says what it said then (`was`), and ends when that changes.
        rules: {"since", "is", "was"}: rows that replace the source's (`was`), likewise; None if there are none.
    """

    items: Mapping[str, Any] = field(default_factory=dict)
    users: Mapping[str, Any] = field(default_factory=dict)
    rights: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Withdrawals:
    """A withdrawals file.

    Attributes:
        items: None: the version's own rights apply, as for a first change by hand.
        rules: None: the version's own apply.
        erased: User ids as in the version's table, ascending.
        night: SHA-256 of the night's tables (`NightlyTables`) from which it was last made.
        refused: SHA-256 of a night's tables that were partly not applied, because too little would have remained
            visible.
        by_hand: Changes made by hand.
    """

    items: TableRights | None = None
    rules: tuple[Rule, ...] | None = None
    erased: tuple[str, ...] = ()
    night: str | None = None
    refused: str | None = None
    by_hand: ByHand = field(default_factory=ByHand)

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return canonical({"format": FORMAT, **_plain(self)})

    @cached_property
    def sha256(self) -> str:
        """The file's name."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def users(self) -> frozenset[str]:
        """All users who are treated as unknown."""
        return frozenset(self.erased) | frozenset(self.by_hand.users)

    @property
    def rows(self) -> tuple[Rule, ...] | None:
        """The rules in force; None: the version's own."""
        return tuple(self.by_hand.rules["is"]) if self.by_hand.rules is not None else self.rules

    @property
    def counts(self) -> dict[str, int]:
        """Counts for display: blocked items, users, rules, and items and users withdrawn by hand."""
        blocked = set(self.items.blocked if self.items else ())
        for item, entry in self.by_hand.rights.items():
            (blocked.add if entry["is"][0] else blocked.discard)(item)
        return {
            "blocked": len(blocked | self.by_hand.items.keys()),
            "users": len(self.users),
            "rules": len(self.rows or ()),
            "items_by_hand": len(self.by_hand.items),
            "users_by_hand": len(self.by_hand.users),
        }


def parse(content: bytes) -> Withdrawals:
    """Parse a withdrawals file. Raises ValueError, KeyError or TypeError if it is invalid, WithdrawalsError for a
    later format."""
    value = json.loads(content)
    if value["format"] != FORMAT:
        raise WithdrawalsError(
            f"has format {value['format']}; this Nightreel reads format {FORMAT}. Use the Nightreel release that wrote "
            "it, or a later one."
        )
    return Withdrawals(
        items=_rights(value["items"]) if value["items"] is not None else None,
        rules=tuple(value["rules"]) if value["rules"] is not None else None,
        erased=tuple(value["erased"]),
        night=value["night"],
        refused=value["refused"],
        by_hand=ByHand(**{each.name: value["by_hand"][each.name] for each in fields(ByHand)}),
    )


def key_of(sha256: str) -> str:
    """The file's key in the store."""
    return f"{FOLDER}{sha256}.json"


def read(store: Store, sha256: str | None) -> Withdrawals | None:
    """Read the withdrawals that a pointer names; None if it names none.

    Raises:
        WithdrawalsError: The file is missing, truncated, changed or of a later format.
    """
    if sha256 is None:
        return None
    where = f"{store.uri}: {key_of(sha256)}"
    try:
        content = store.get(key_of(sha256))
    except Missing:
        raise _unreadable(f"{where} is missing") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _unreadable(f"{where} was truncated or changed: its SHA-256 differs from its name")
    try:
        return parse(content)
    except WithdrawalsError as error:
        raise WithdrawalsError(f"{where} {error}") from None
    except (ValueError, KeyError, TypeError):
        raise _unreadable(f"{where} is not a withdrawals file") from None


def _unreadable(fault: str) -> WithdrawalsError:
    return WithdrawalsError(
        f"{fault}. Without it nothing can be shown safely. Restore it from a backup, or start a new one: "
        "`nightreel withdraw FILE --anew` with all that is withdrawn by hand, then `nightreel run`."
    )


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8: equal content has equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def by_id(entries: Iterable[str]) -> tuple[str, ...]:
    """Distinct ids, ascending."""
    return tuple(sorted(set(entries)))


def without_returned(file: Withdrawals, tonight: NightlyTables, known: frozenset[str]) -> Withdrawals:
    """The same without erased users who returned: tonight's table requests no erasure, and the version to publish,
    which was made from tonight's tables, has their events (`known`)."""
    erased = frozenset(tonight.erased)
    return replace(file, erased=tuple(user for user in file.erased if user in erased or user not in known))


def _rights(value: dict[str, Any]) -> TableRights:
    windows = {item: (since, until) for item, (since, until) in value["windows"].items()}
    return TableRights(tuple(value["catalogue"]), tuple(value["blocked"]), windows, tuple(value["unread"]))


def _plain(value: Any) -> Any:
    """A dataclass of this module in JSON types."""
    if isinstance(value, (TableRights, NightlyTables, ByHand, Withdrawals)):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value
