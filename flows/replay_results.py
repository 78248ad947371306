"""The files that a replay leaves: nights.parquet, a row a night, and judged.parquet, a row a night and user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.replay_night import Row
from flows.replay_plan import Plan
from tasks.replay.judgement import RANKERS
from tasks.replay.paired import Overall, overall

MOMENT = pa.timestamp("us", "UTC")
MEANS = [f"{name}{group}" for group in ("", "_known", "_newcomers") for name in RANKERS]
NIGHTS = pa.schema([
    ("night", MOMENT), ("until", MOMENT), ("events", pa.int64()), ("decision", pa.string()), ("label", pa.string()),
    ("reason", pa.string()), ("error", pa.string()), ("published", pa.bool_()), ("version", pa.string()),
    ("served_label", pa.string()), ("since", MOMENT), ("users", pa.int64()), ("newcomers", pa.int64()),
    *((name, pa.float64()) for name in MEANS),
    ("half_life_days", pa.float64()), ("ease_half_life_days", pa.float64()), ("ease_regularisation", pa.float64()),
    ("ease_decay", pa.float64()), ("ease_weight", pa.float64()), ("seconds", pa.float64()),
    ("judging_seconds", pa.float64()), ("code", pa.string()),
])  # fmt: skip


def write(plan: Plan, rows: Sequence[Row]) -> None:
    """Both tables, of the nights that there are so far."""
    _replace(pa.Table.from_pylist([_typed(row) for row in rows], NIGHTS), plan.folder / "nights.parquet")
    _replace(judged(plan, rows), plan.folder / "judged.parquet")


def read(plan: Plan, rows: Sequence[Row]) -> Overall | None:
    """All nights together; None where none was served and judged."""
    return overall(judged(plan, rows))


def judged(plan: Plan, rows: Sequence[Row]) -> pa.Table:
    """The judged users of the nights."""
    nights = [night for night, _ in zip(plan.nights, rows, strict=False)]
    return pa.concat_tables([pq.read_table(plan.of(night) / "judged.parquet") for night in nights])


def as_json(found: Overall | None) -> dict[str, Any] | None:
    """Plain values: each interval as its point, low and high."""
    return None if found is None else asdict(found)


def _typed(row: Row) -> Row:
    moments = {name: datetime.fromisoformat(row[name]) for name in ("night", "until", "since") if row[name]}
    return {name: row.get(name) for name in NIGHTS.names} | moments


def _replace(table: pa.Table, path: Path) -> None:
    working = path.with_name(f".{path.name}.partial")
    pq.write_table(table, working, compression="zstd")
    working.rename(path)
