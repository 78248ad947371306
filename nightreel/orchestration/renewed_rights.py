"""Corrects rights and rules in a channel's withdrawals file, without a new version."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.editorial_rules import FILE, rows_of
from nightreel.data.ingest.raw_tables import Raw
from nightreel.data.quality import editorial_checks as checks
from nightreel.data.quality.type_tables import load_rules
from nightreel.data.rules_together import RulesTogether
from nightreel.errors import UserError, listed
from nightreel.store.backends.base import Store
from nightreel.store.channel_pointer import Pointer
from nightreel.store.withdrawals_file import Withdrawals
from nightreel.store.withdrawals_update import change
from nightreel.withdrawals.live_tables import LiveTables, live_tables

RIGHTS = ("blocked", "published_at", "expires_at")
Cells = dict[str, Any]
"""Column of RIGHTS → its value in a file, for the columns that it has; times in epoch seconds."""


@dataclass(frozen=True)
class RequestedRights:
    """The corrections. rights: of items, by id; rules: the complete new table, None to keep the current one;
    allow_unmatched: whether rules and blocked items may match nothing."""

    rights: Mapping[str, Cells]
    rules: Raw | None
    allow_unmatched: bool = False


def rights_in(files: Sequence[pa.Table]) -> dict[str, Cells]:
    """The rights in tables of items, in order; an empty `blocked` means false."""
    found: dict[str, Cells] = {}
    for table in files:
        there = [name for name in RIGHTS if name in table.column_names]
        for row in table.select(["item_id", *there]).to_pylist():
            if there:
                found.setdefault(row.pop("item_id"), {}).update({name: _plain(name, row[name]) for name in there})
    return found


def _plain(name: str, cell: Any) -> Any:
    if name == "blocked":
        return bool(cell)
    return cell.timestamp() if cell is not None else None


def put_right(store: Store, channel: str, wanted: RequestedRights, *, dry_run: bool) -> dict[str, Any]:
    """Apply corrected rights and rules to a channel.

    Args:
        store: The channel's store.
        channel: A channel that serves a version.
        wanted: The corrections; items that the version does not know are ignored.
        dry_run: Change nothing.

    Returns:
        {"rights": number of items whose rights change, "given_back": number of items that `nightreel withdraw` withdrew
        and that are restored, "rules": number of rules now, or None if unchanged, "warning": on rules that match
        nothing or hide most items, or None}.

    Raises:
        UserError: The table of rules is faulty or leaves nothing to show, or something that shall be hidden matches
            nothing.
    """
    summary: dict[str, Any] = {"rights": 0, "given_back": 0, "rules": None, "warning": None}

    def made(seen: Pointer, held: Withdrawals | None) -> Withdrawals | None:
        with live_tables(store, seen.digest) as live:
            if not wanted.allow_unmatched:
                _require_known(live, held, wanted.rights)
            file = _with_rights(live, held or Withdrawals(), wanted.rights, summary)
            file = _with_rules(live, file, wanted, summary) if wanted.rules is not None else file
        return None if dry_run or file == (held or Withdrawals()) else file

    change(store, channel, made)
    return summary


def _require_known(live: LiveTables, held: Withdrawals | None, rights: Mapping[str, Cells]) -> None:
    """Raise UserError for items that shall not be shown and that neither the version nor the catalogue has."""
    tonight = held.items.all if held is not None and held.items is not None else frozenset[str]()
    wrong = [
        item
        for item, cells in rights.items()
        if live.items.index_of(item) is None and item not in tonight and _taken_down(cells)
    ]
    if wrong:
        raise UserError(
            f"{len(wrong):,} blocked or expired items match no item: {listed(wrong)}. Nothing was changed. Correct "
            "their ids; --allow-unmatched ignores them, `nightreel withdraw` keeps them for later versions."
        )


def _taken_down(cells: Cells) -> bool:
    expires = cells.get("expires_at")
    return bool(cells.get("blocked")) or (expires is not None and expires <= time.time())


def _with_rights(
    live: LiveTables, held: Withdrawals, rights: Mapping[str, Cells], summary: dict[str, Any]
) -> Withdrawals:
    now, given, by_hand = int(time.time()), dict(held.by_hand.items), dict(held.by_hand.rights)
    summary["rights"] = 0
    for name, cells in rights.items():
        row = live.items.index_of(name)
        if row is None:
            continue
        item = live.items.ids[row]
        source = held.items.of(item) if held.items is not None else _own(live, row)
        before = by_hand[item]["is"] if item in by_hand else source or [False, None, None]
        wanted = [cells.get(name, old) for name, old in zip(RIGHTS, before, strict=True)]
        if cells.get("blocked") is False:
            given.pop(item, None)
        if wanted == source:
            by_hand.pop(item, None)
        elif wanted != before or source is None:
            by_hand[item] = {"since": now, "is": wanted, "was": source}
        summary["rights"] += wanted != before or (source is None and item not in held.by_hand.rights)
    summary["given_back"] = len(held.by_hand.items) - len(given)
    return replace(held, by_hand=replace(held.by_hand, items=given, rights=by_hand))


def _own(live: LiveTables, row: int) -> list[Any]:
    """The version's own rights, in the form of `Rights.of`."""
    ends = (float(live.items.published[row]), float(live.items.expires[row]))
    return [bool(live.items.blocked[row]), *(at if np.isfinite(at) else None for at in ends)]


def _with_rules(live: LiveTables, held: Withdrawals, wanted: RequestedRights, summary: dict[str, Any]) -> Withdrawals:
    assert wanted.rules is not None
    items = _shown_now(live, held)
    table = load_rules(wanted.rules, items)
    rows, source = list(rows_of(table)), list(_source_rules(live, held))
    before = list(held.rows) if held.rows is not None else source
    if rows == before:
        return held
    missing = checks.unmatched(table, items)
    if missing and not wanted.allow_unmatched:
        raise UserError(
            f"{wanted.rules.file}: {len(missing):,} of {len(rows):,} rules have a target that matches no item: "
            f"{listed(missing)}. Nothing was changed. Correct them, or keep them for items to come with "
            "--allow-unmatched."
        )
    warnings = checks.unmatched_warning(table, items), RulesTogether(table.to_pylist(), items, time.time()).warning()
    summary["rules"], summary["warning"] = len(rows), " ".join(filter(None, warnings)) or None
    entry = None if rows == source else {"since": int(time.time()), "is": rows, "was": source}
    return replace(held, by_hand=replace(held.by_hand, rules=entry))


def _shown_now(live: LiveTables, held: Withdrawals) -> pa.Table:
    """The version's items, blocked where their rights in force hide them."""
    items = pq.ParquetFile(live.facets.path).read()
    hidden = pa.array(~live.shown(held, time.time(), ruled=False))
    if "blocked" not in items.column_names:
        return items.append_column("blocked", hidden)
    return items.set_column(items.column_names.index("blocked"), "blocked", hidden)


def _source_rules(live: LiveTables, held: Withdrawals) -> tuple[dict[str, Any], ...]:
    """The rules without manual corrections: those of the withdrawals file, else the version's own."""
    if held.rules is not None:
        return held.rules
    path: Path = live.facets.path.parent / FILE
    return rows_of(pq.ParquetFile(path).read()) if path.exists() else ()
