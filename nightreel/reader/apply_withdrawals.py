"""Apply withdrawals to a version: the file's rights and rules replace the version's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from nightreel.bundle.editorial_rules import RuleTable
from nightreel.bundle.item_facets import Facets
from nightreel.bundle.item_table import ItemTable
from nightreel.data.item_rights import Rights
from nightreel.reader.open_bundle import OpenBundle
from nightreel.store.withdrawals_file import TableRights, Withdrawals

B = TypeVar("B", bound=OpenBundle)


def under(plain: B, file: Withdrawals | None) -> B:
    """Return a version under withdrawals.

    Args:
        plain: The version as it was published.
        file: The withdrawals; None for the version as it was published.
    """
    if file is None:
        return plain
    items = items_under(plain.items, file)
    return replace(
        plain,
        items=items,
        users=plain.users.without(file.users),
        rules=rules_under(plain.rules, file, items, plain.facets),
        withdrawals=file,
        own=plain,
        newcomers=plain.newcomers and plain.newcomers.without(file.users),
    )


def items_under(table: ItemTable, file: Withdrawals) -> ItemTable:
    """Apply withdrawals to the items' rights.

    Args:
        table: The version's own items.
        file: The withdrawals. Rights that were corrected by hand override the night's tables; items that were withdrawn
            by hand override both.
    """
    if file.items is not None:
        rights = _of_night(table, file.items)
    else:
        rights = Rights(table.blocked.copy(), table.published.copy(), table.expires.copy())
    for item, entry in file.by_hand.rights.items():
        _set(rights, table.index_of(item), *entry["is"])
    for item in file.by_hand.items:
        _block(rights, table.index_of(item))
    return table.with_rights(rights)


def _of_night(table: ItemTable, rights_tonight: TableRights) -> Rights:
    """Rights by a night's table; items that are no longer in the catalogue are blocked."""
    n, there, refused = len(table), rights_tonight.all, rights_tonight.not_permitted
    blocked = np.fromiter((item not in there or item in refused for item in table.ids), bool, n)
    rights = Rights(blocked, np.full(n, -np.inf), np.full(n, np.inf))
    for item, window in rights_tonight.windows.items():
        row = table.index_of(item)
        if row is not None:
            _set(rights, row, bool(blocked[row]), *window)
    for item in rights_tonight.unread:
        row = table.index_of(item)
        if row is not None:
            rights.published[row], rights.expires[row] = table.published[row], table.expires[row]
    return rights


def _set(rights: Rights, row: int | None, blocked: bool, published: float | None, expires: float | None) -> None:
    """Set an item's rights; no effect if the version does not know it."""
    if row is not None:
        rights.blocked[row] = blocked
        rights.published[row] = -np.inf if published is None else published
        rights.expires[row] = np.inf if expires is None else expires


def _block(rights: Rights, row: int | None) -> None:
    if row is not None:
        rights.blocked[row] = True


def rules_under(own: RuleTable | None, file: Withdrawals, items: ItemTable, facets: Facets) -> RuleTable | None:
    """The rules in force for the items as they may be shown. own: the version's own rules."""
    if file.rows is None:
        return own
    return RuleTable.of(file.rows, items, facets, "the withdrawals file")
