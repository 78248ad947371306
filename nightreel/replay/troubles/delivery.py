"""What a source delivers on a night, and the trouble that is done to its files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightreel.data.ingest.timestamps import MICROS
from nightreel.replay.source_log import SourceLog, night_of
from nightreel.replay.troubles.kinds import (
    Bot,
    ChangedSchema,
    CorruptDay,
    DeliveredTwice,
    DoubledCatalogue,
    Erasure,
    LateDay,
    Passing,
    Takedown,
)
from nightreel.replay.troubles.script import Script
from nightreel.stage import staged_output

SECOND_DELIVERY, COPY = "-again", "-copy"
Tables = dict[str, pa.Table]


@dataclass
class Delivery:
    """The files of a night.

    Attributes:
        tables: By path below the source's folder.
        damaged: Paths of files that break off.
        blocked: Items that were taken down by now.
        erased: Users who asked to be forgotten by now.
    """

    tables: Tables
    damaged: set[str] = field(default_factory=set)
    blocked: dict[str, float] = field(default_factory=dict)
    erased: dict[str, float] = field(default_factory=dict)

    def rows(self, table: str) -> int:
        """Number of rows of a table in its whole files."""
        return sum(
            each.num_rows
            for path, each in self.tables.items()
            if path.startswith(f"{table}/") and path not in self.damaged
        )

    def write(self, folder: Path, terms: str) -> None:
        """Write the files; the folder is replaced as a whole."""
        with staged_output(folder) as working:
            (working / "terms.txt").write_text(terms + "\n", "utf-8")
            for path, table in self.tables.items():
                (working / path).parent.mkdir(exist_ok=True)
                pq.write_table(table, working / path)
                if path in self.damaged:
                    os.truncate(working / path, (working / path).stat().st_size // 2)


def deliver(log: SourceLog, nights: Sequence[float], number: int, script: Script | None) -> Delivery:
    """What the source delivers on a night.

    Args:
        log: The whole source.
        nights: Times of all nights, epoch seconds.
        number: Of the night, from 1.
        script: The trouble; None for none. With a script, events come in a file for each step.
    """
    night = nights[number - 1]
    if script is None:
        return Delivery(log.delivered(night))
    made = Delivery(log.delivered(night, nights[: number - 1]))
    for scripted in sorted(script.nights, key=lambda each: each.night):
        for trouble in scripted.troubles:
            lasts = trouble.nights if isinstance(trouble, Passing) else number
            if scripted.night <= number < scripted.night + lasts:
                _do(trouble, made, log, scripted.night, nights[scripted.night - 1])
    return made


def _do(trouble: Any, made: Delivery, log: SourceLog, number: int, moment: float) -> None:
    """Do a trouble of night `number`, which is at `moment`, to what is delivered."""
    newest = [path for path in made.tables if path.startswith("events/") and night_of(path) == number]
    match trouble:
        case Takedown():
            chosen = _most_frequent(log, "item_id", moment, trouble.items, set(made.blocked))
            made.blocked |= dict.fromkeys(chosen, moment)
            for path in _of(made, "items"):
                made.tables[path] = _blocked(made.tables[path], chosen)
        case Erasure():
            chosen = _most_frequent(log, "user_id", moment, trouble.users, set(made.erased))
            made.erased |= dict.fromkeys(chosen, moment)
            _erase(made, chosen, number, moment)
        case CorruptDay():
            made.damaged |= set(newest)
        case LateDay():
            for path in newest:
                del made.tables[path]
        case DeliveredTwice():
            for path in newest:
                made.tables[path.replace(".parquet", f"{SECOND_DELIVERY}.parquet")] = made.tables[path]
        case Bot():
            for path in newest:
                made.tables[path] = _with_bot(made.tables[path], trouble.items, number)
        case DoubledCatalogue():
            for path in _of(made, "items"):
                made.tables[path] = _doubled(made.tables[path])
        case ChangedSchema():
            for path in newest if trouble.table == "events" else _of(made, "items"):
                made.tables[path] = _renamed(made.tables[path], trouble.column, trouble.to)


def _of(made: Delivery, table: str) -> list[str]:
    return [path for path in made.tables if path.startswith(f"{table}/")]


def _texts(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids as text, whatever the file has them as."""
    return cells.cast(pa.string())


def _most_frequent(log: SourceLog, column: str, before: float, count: int, besides: set[str]) -> list[str]:
    """The ids with the most events before a time, the most first."""
    found: Counter[str] = Counter()
    for path, table in log.delivered(before).items():
        if path.startswith("events/"):
            counts = pc.value_counts(_texts(table[column]).drop_null())
            found.update({str(each["values"]): int(each["counts"]) for each in counts.to_pylist()})
    order = sorted(found, key=lambda name: (-found[name], name))
    return [name for name in order if name not in besides][:count]


def _blocked(items: pa.Table, chosen: Sequence[str]) -> pa.Table:
    """The catalogue with these items blocked."""
    taken = pc.is_in(_texts(items["item_id"]), value_set=pa.array(chosen, pa.string()))
    if "blocked" not in items.column_names:
        return items.append_column("blocked", taken)
    cells = items["blocked"]
    if pa.types.is_null(cells.type):
        cells = cells.cast(pa.bool_())
    number = pa.types.is_boolean(cells.type) or pa.types.is_integer(cells.type)
    yes = pa.scalar(1 if number else "true").cast(cells.type)
    return items.set_column(items.column_names.index("blocked"), "blocked", pc.if_else(taken, yes, cells))


def _erase(made: Delivery, chosen: Sequence[str], number: int, moment: float) -> None:
    """Add the requests, and leave out what these users would have done since."""
    requested = pa.array([round(moment * MICROS)] * len(chosen), pa.timestamp("us", "UTC"))
    made.tables[f"erasures/{number:04d}.parquet"] = pa.table({"user_id": list(chosen), "requested_at": requested})
    for path in _of(made, "events"):
        if night_of(path) > number:
            users = _texts(made.tables[path]["user_id"])
            gone = pc.is_in(users, value_set=pa.array(chosen, pa.string()))
            made.tables[path] = made.tables[path].filter(pc.invert(gone))


def _with_bot(events: pa.Table, items: int, number: int) -> pa.Table:
    """The events, and as many of one more user, who plays a few items in turn at the same times."""
    chosen = _texts(events["item_id"]).drop_null().unique().to_pylist()[:items]
    if not chosen:
        return events
    in_turn = [chosen[row % len(chosen)] for row in range(events.num_rows)]
    columns: dict[str, Any] = {"user_id": [f"bot-{number}"] * events.num_rows, "item_id": in_turn}
    own = events
    for name, values in columns.items():
        cells = pa.array(values, pa.string()).cast(events[name].type)
        own = own.set_column(own.column_names.index(name), events.schema.field(name), cells)
    return pa.concat_tables([events, own])


def _doubled(items: pa.Table) -> pa.Table:
    """The catalogue, and every item once more under another id."""
    at = items.column_names.index("item_id")
    ids = _texts(items["item_id"])
    copies = pc.binary_join_element_wise(ids, COPY, "")
    both = [items.set_column(at, "item_id", cells) for cells in (ids, copies)]
    return pa.concat_tables(both)


def _renamed(table: pa.Table, column: str, to: str | None) -> pa.Table:
    """The table with a column under another name, or without it."""
    if to is None:
        return table.select([name for name in table.column_names if name != column])
    return table.rename_columns([to if name == column else name for name in table.column_names])
