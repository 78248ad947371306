"""Rule violations per row: each row gets at most one mark, and marked rows are quarantined."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.contract.schema import SET_ASIDE
from nightreel.data.privacy import redacted

Mask = npt.NDArray[np.bool_]
EPOCH = datetime(1970, 1, 1)


class Violations:
    """Marks on n rows; a row is quarantined for the first rule that it violates."""

    def __init__(self, n: int) -> None:
        self._code = np.zeros(n, np.int32)
        self._rules: list[tuple[str, str]] = [("", "")]

    @property
    def clean(self) -> Mask:
        """[n] rows without a mark."""
        unmarked: Mask = self._code == 0
        return unmarked

    def without(self, rule: str) -> Mask:
        """[n] rows that are not marked for this rule."""
        codes = [code for code, (name, _) in enumerate(self._rules) if name == rule]
        return ~np.isin(self._code, codes)

    def mark(self, broken: Mask, rule: str, column: str) -> None:
        """Mark the rows of `broken` [n] that have no mark yet."""
        fresh = broken & self.clean
        if fresh.any():
            self._rules.append((rule, column))
            self._code[fresh] = len(self._rules) - 1

    def set_aside(self, table: str, rows: pa.Table, *, private: bool, clock: str = "order") -> pa.Table:
        """The marked rows of `rows` as SET_ASIDE, redacted; user ids in `rows` are pseudonyms already. clock: `time`
        for events whose timestamps are µs since 1970, which are shown as dates."""
        at = np.flatnonzero(~self.clean)
        out = []
        aside = _as_written(rows.take(pa.array(at)))
        for code, row in zip(self._code[at].tolist(), aside.to_pylist(), strict=True):
            rule, column = self._rules[code]
            if clock == "time":
                row["timestamp"] = readable(row["timestamp"])
            place = {"source_file": row.pop("source_file"), "source_row": row.pop("source_row")}
            out.append(
                {
                    "table": table,
                    **place,
                    "rule": rule,
                    "column": column,
                    "user_id": row.get("user_id"),
                    "item_id": row.get("item_id"),
                    "row": redacted(row, column, private=private, table=table),
                }
            )
        return pa.Table.from_pylist(out, schema=SET_ASIDE)


def _as_written(rows: pa.Table) -> pa.Table:
    """The rows with numbers of single precision as decimals: 0.91, not 0.9100000262260437."""
    for at, field in enumerate(rows.schema):
        if field.type == pa.float32():
            cells = rows[field.name].cast(pa.string()).cast(pa.float64())
            rows = rows.set_column(at, field.name, cells)
    return rows


def readable(micros: int) -> datetime | int:
    """A time in µs since 1970, UTC, for display; as seconds if it is outside the calendar."""
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return micros // 1_000_000


def count_rules(quarantine: pa.Table, table: str) -> list[tuple[str, str, int, pa.Table]]:
    """(rule, column, rows, the first three of them) of a table's quarantine, most frequent first."""
    rows = quarantine.filter(pc.equal(quarantine["table"], table))
    keys = list(zip(rows["rule"].to_pylist(), rows["column"].to_pylist(), strict=True))
    first: dict[tuple[str, str], list[int]] = {}
    for at, key in enumerate(keys):
        if len(first.setdefault(key, [])) < 3:
            first[key].append(at)
    ranked = sorted(Counter(keys).items(), key=lambda entry: (-entry[1], entry[0]))
    return [(rule, column, n, rows.take(first[rule, column])) for (rule, column), n in ranked]
