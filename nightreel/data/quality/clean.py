"""Clean the snapshot's tables and convert ids to indices; every quarantined or erased row is accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.schema import (
    DERIVED,
    ERASURES_SCHEMA,
    ITEMS_SCHEMA,
    PROFILES_SCHEMA,
    RULES_SCHEMA,
    SET_ASIDE,
    SNAPSHOT_SEARCHES,
    SOURCE,
    optional_event_fields,
    read_strict,
)
from nightreel.data.contract.tables import EVENTS
from nightreel.data.daily_files import read_days
from nightreel.data.histories import users_in_order
from nightreel.data.ingest.casting import mask_of
from nightreel.data.ingest.timestamps import MICROS
from nightreel.data.quality import editorial_checks, row_checks
from nightreel.data.quality.comments import searches
from nightreel.data.quality.row_counts import Account, account
from nightreel.data.quality.row_outcomes import RowOutcomes, days_of, row_outcomes
from nightreel.data.quality.violations import Violations
from nightreel.stage import read_json


@dataclass(frozen=True)
class SnapshotTables:
    """The snapshot stage's tables; source: source.json."""

    items: pa.Table
    erasures: pa.Table
    rules: pa.Table
    rejected: pa.Table
    events: pa.Table
    searches: pa.Table
    users: pa.Table
    source: dict[str, Any]


@dataclass(frozen=True)
class Clean:
    """The cleaned tables.

    Attributes:
        items: schema.ITEMS_SCHEMA.
        item_rows: The same rows, in the order of their ids, with their source.
        user_ids: By the users' first events, see nightreel.data.histories.users_in_order.
        events: User, item, time, event, value and optional columns, sorted by user, time and source order.
        rules: schema.RULES_SCHEMA, in source order.
        quarantine: schema.SET_ASIDE.
        fates: Outcomes of the rows of the accounts' tables.
        named: Columns beyond the contract, of the same rows of items, events and profiles.
        searches: schema.SEARCHES_SCHEMA.
        profiles: schema.PROFILES_SCHEMA: the source's table `users`, in the order of the ids; users without events are
            among them.
        ends: A time close to the end of the log, epoch seconds.
    """

    items: pa.Table
    item_rows: pa.Table
    user_ids: list[str]
    events: pa.Table
    rules: pa.Table
    quarantine: pa.Table
    accounts: list[Account]
    row_outcomes: list[RowOutcomes]
    named: dict[str, pa.Table]
    searches: pa.Table
    profiles: pa.Table
    ends: float

    @property
    def optional_tables(self) -> dict[str, pa.Table]:
        """What a later stage finds only if the source has such a table."""
        return {"profiles": self.profiles} if any(each.table == "users" for each in self.accounts) else {}


@dataclass(frozen=True)
class Checked:
    """A table's rows with the rules that they violate. typed: every row; kept: without those of erased users."""

    table: str
    typed: pa.Table
    kept: pa.Table
    marks: Violations

    @property
    def clean(self) -> pa.Table:
        """The rows that violate no rule."""
        return self.kept.filter(pa.array(self.marks.clean))

    def set_aside(self, private: bool, clock: str) -> pa.Table:
        """The others, as schema.SET_ASIDE. Rules are not about users, so nothing of them is hidden."""
        hidden, shown = private and self.table != "rules", clock if self.table == "events" else "order"
        return self.marks.set_aside(self.table, self.kept, private=hidden, clock=shown)

    def outcomes(self, days: npt.NDArray[np.int64] | None, quarantine: pa.Table) -> RowOutcomes:
        """What came of each row. days, quarantine: as in row_outcomes."""
        return row_outcomes(self.table, self.kept, self.marks.clean, days, quarantine, self.typed)


def read_snapshot(folder: Path) -> SnapshotTables:
    """Read the tables of data/snapshot; raises UserError naming the file and column that violate the schema."""
    source = read_json(folder / "source.json")
    named = {table: [pa.field(name, pa.string()) for name in names] for table, names in source["named"].items()}
    return SnapshotTables(
        read_strict(folder / "items.parquet", pa.schema([*ITEMS_SCHEMA, *named["items"], *SOURCE])),
        read_strict(folder / "erasures.parquet", pa.schema([*ERASURES_SCHEMA, *SOURCE])),
        read_strict(folder / "rules.parquet", pa.schema([*RULES_SCHEMA, *SOURCE])),
        read_strict(folder / "rejected.parquet", SET_ASIDE),
        read_days(folder / "events"),
        read_strict(folder / "searches.parquet", SNAPSHOT_SEARCHES),
        read_strict(folder / "users.parquet", pa.schema([*PROFILES_SCHEMA, *named["users"], *SOURCE])),
        source,
    )


def clean_tables(snapshot: SnapshotTables, window_s: float, forgotten: Sequence[str] = ()) -> Clean:
    """Apply erasures, then the rules.

    Args:
        snapshot: The snapshot's tables.
        window_s: See Validate.duplicate_window_s.
        forgotten: Users who were withdrawn by hand, as the tables name them: treated like rows of `erasures`.
    """
    source, items, erasures, rejected = snapshot.source, snapshot.items, snapshot.erasures, snapshot.rejected
    private, clock, rows = source["pseudonymised"], source["clock"], source["rows"]
    events, rules = snapshot.events, snapshot.rules
    item_marks = row_checks.mark_items(items)
    gone = pa.array([*erasures["user_id"].drop_null().to_pylist(), *forgotten], pa.string())
    kept_rejects = ~mask_of(pc.is_in(rejected["user_id"], gone))
    staying = ~mask_of(pc.is_in(events["user_id"], gone))
    kept = events.filter(pa.array(staying))
    item_rows = _by_id(items.filter(pa.array(item_marks.clean)))
    refused = pa.array(
        [*items["item_id"].filter(pa.array(~item_marks.clean)).to_pylist(), *_rejected_items(rejected)], pa.string()
    )
    ends = _ends(kept, clock)
    users = snapshot.users.filter(pc.invert(pc.is_in(snapshot.users["user_id"], gone)))
    checked = [
        Checked("items", items, items, item_marks),
        Checked("events", events, kept, row_checks.mark_events(kept, clock, item_rows["item_id"], refused, window_s)),
        Checked("erasures", erasures, erasures, row_checks.mark_erasures(erasures)),
        Checked("rules", rules, rules, editorial_checks.mark_business_rules(rules, item_rows, ends)),
        Checked("users", snapshot.users, users, row_checks.mark_users(users)),
    ]
    in_time = checked[1].marks.without(row_checks.CLOCK)
    profiles = checked[-1].clean.sort_by("user_id")
    if not rows["users"]:  # what the source has no table of is not in the reports either
        checked = checked[:-1]
    aside = [each.set_aside(private, clock) for each in checked]
    quarantine = pa.concat_tables([rejected.filter(pa.array(kept_rejects)), *aside])
    erased = {each.table: each.typed.num_rows - each.kept.num_rows for each in checked}
    for table in rejected.filter(pa.array(~kept_rejects))["table"].to_pylist():
        erased[table] += 1
    sound = {each.table: each.clean for each in checked} | {"items": item_rows}
    accounts = [account(name, rows[name], own.num_rows, erased[name], quarantine) for name, own in sound.items()]
    days = None if clock == "order" else days_of(kept["timestamp"].to_numpy(), in_time)
    came = [each.outcomes(days if each.kept is kept else None, quarantine) for each in checked]
    clean = {"items": item_rows, "events": sound["events"], "users": profiles}
    user_ids, indexed, order = _indexed(clean["events"], item_rows["item_id"], clock)
    named = {name: table.select(source["named"][name]) for name, table in clean.items()}
    named["events"] = named["events"].take(order)
    words = searches(snapshot.searches, indexed, user_ids, clock)
    return Clean(
        items=_finished(item_rows),
        item_rows=item_rows,
        user_ids=user_ids,
        events=indexed,
        rules=sound["rules"].select(RULES_SCHEMA.names),
        quarantine=quarantine,
        accounts=accounts,
        row_outcomes=came,
        named=named,
        searches=words,
        profiles=profiles.select(PROFILES_SCHEMA.names),
        ends=ends,
    )


def _rejected_items(rejected: pa.Table) -> list[str]:
    """Ids of the items that could not be typed, as far as their rows tell."""
    own = rejected.filter(pc.equal(rejected["table"], "items"))
    ids: list[str] = own["item_id"].filter(pc.not_equal(own["column"], "item_id")).drop_null().to_pylist()
    return ids


def _ends(events: pa.Table, clock: str) -> float:
    """A time close to the end of the log, epoch seconds, that no few wrong clocks decide: rules that ended before are
    over. -inf without a clock."""
    if clock == "order" or not events.num_rows:
        return -np.inf
    return float(np.quantile(events["timestamp"].to_numpy(), 0.99)) / MICROS


def _finished(items: pa.Table) -> pa.Table:
    """Items in the contract's form: lists and `blocked` without gaps, without source positions."""
    columns = []
    for field in ITEMS_SCHEMA:
        cells = items[field.name].combine_chunks()
        if field.type == pa.bool_():
            cells = cells.fill_null(False)
        elif pa.types.is_list(field.type) and cells.null_count:
            cells = pa.array([labels or [] for labels in cells.to_pylist()], field.type)
        columns.append(cells.cast(field.type))
    return pa.table(columns, schema=ITEMS_SCHEMA)


def _by_id(items: pa.Table) -> pa.Table:
    """Items in the order of their ids: the order of a source's rows says nothing, so nothing may depend on it."""
    return items.take(pc.sort_indices(items["item_id"]))


def _indexed(events: pa.Table, item_ids: pa.ChunkedArray, clock: str) -> tuple[list[str], pa.Table, pa.Array]:
    """(user ids, see `users_in_order`; clean events in indices; their order: by user, time and source order)."""
    named = events["user_id"].combine_chunks().dictionary_encode()
    user = named.indices.to_numpy().astype(np.int64)
    item = pc.fill_null(pc.index_in(events["item_id"], item_ids.combine_chunks()), -1).cast(pa.int32()).to_numpy()
    time = events["timestamp"].to_numpy().astype(np.float64) / (MICROS if clock == "time" else 1)
    kind = pc.index_in(events["event"], pa.array(EVENTS)).to_numpy(zero_copy_only=False)
    order = np.lexsort((time, user))
    telling = [item[order], kind[order], events["value"].to_numpy()[order]]
    users = users_in_order(user[order], time[order], telling)
    user = np.argsort(users)[user].astype(np.int32)
    order = np.lexsort((time, user))
    columns: dict[str, Any] = {
        "user": user[order],
        "item": item[order],
        "time": time[order],
        "event": events["event"].take(pa.array(order)).combine_chunks().dictionary_encode(),
        "value": pa.array(events["value"].to_numpy()[order].astype(np.float32), from_pandas=False),
    }
    derived = [field for field in DERIVED if field.name in events.column_names]
    for field in [*optional_event_fields(events.column_names), *derived]:
        columns[field.name] = events[field.name].take(pa.array(order))
    return named.dictionary.take(pa.array(users)).to_pylist(), pa.table(columns), pa.array(order)
