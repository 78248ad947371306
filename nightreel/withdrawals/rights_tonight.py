"""Rights in the night's tables, read leniently: an invalid row neither shows nor hides an item."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.bundle.editorial_rules import rows_of
from nightreel.data.contract.schema import ERASURES_SCHEMA, ITEMS_SCHEMA, RULES_SCHEMA, SET_ASIDE, SOURCE, read_strict
from nightreel.data.quality import editorial_checks, row_checks
from nightreel.store.withdrawals_file import NightlyTables, TableRights, Window, by_id

YES = frozenset({"true", "1", "yes"})


def read_rights(folder: Path, source: dict[str, Any], now: float) -> NightlyTables:
    """Rights and rules by the snapshot's tables.

    Args:
        folder: data/snapshot.
        source: Its source.json.
        now: Time of the run, epoch seconds.

    Raises:
        UserError: A table is missing or invalid.
    """
    named = [pa.field(name, pa.string()) for name in source["named"]["items"]]
    items = read_strict(folder / "items.parquet", pa.schema([*ITEMS_SCHEMA, *named, *SOURCE]))
    erasures = read_strict(folder / "erasures.parquet", pa.schema([*ERASURES_SCHEMA, *SOURCE]))
    editors = read_strict(folder / "rules.parquet", pa.schema([*RULES_SCHEMA, *SOURCE]))
    rejected = read_strict(folder / "rejected.parquet", SET_ASIDE)
    clean = row_checks.mark_items(items).clean
    kept = editorial_checks.mark_business_rules(editors, items.filter(pa.array(clean)), now).clean
    return NightlyTables(
        _rights(items, clean, list(_rejected(rejected))),
        by_id(erasures["user_id"].drop_null().to_pylist()),
        rows_of(editors.filter(pa.array(kept))),
    )


def _rights(items: pa.Table, clean: np.ndarray[Any, np.dtype[np.bool_]], rejected: list[dict[str, Any]]) -> TableRights:
    """clean: [n] valid rows. Any row with `blocked` blocks its item; availability is read from valid rows only."""
    ids = items["item_id"].to_pylist()
    blocked = {item for item, cell in zip(ids, items["blocked"].to_pylist(), strict=True) if item and cell}
    blocked |= {row["item_id"] for row in rejected if str(row.get("blocked", "")).strip().casefold() in YES}
    ends = [
        [cell.timestamp() if cell else None for cell in items[name].to_pylist()]
        for name in ("published_at", "expires_at")
    ]
    windows: dict[str, Window] = {
        item: (since, until)
        for item, sound, since, until in zip(ids, clean.tolist(), *ends, strict=True)
        if sound and (since is not None or until is not None)
    }
    read = {item for item, sound in zip(ids, clean.tolist(), strict=True) if sound}
    there = {item for item in ids if item} | {row["item_id"] for row in rejected}
    return TableRights(by_id(there), by_id(blocked), windows, by_id(there - read))


def _rejected(rejected: pa.Table) -> Iterator[dict[str, Any]]:
    """Cells of items' rows that have an id and a cell of the wrong type."""
    for row in rejected.filter(pc.equal(rejected["table"], "items")).to_pylist():
        if row["item_id"]:
            yield json.loads(row["row"]) | {"item_id": row["item_id"]}
