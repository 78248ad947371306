"""Events as one file per day, so that a new night adds files and leaves the old ones unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.errors import UserError

DAY_MICROS = 86_400_000_000
EPOCH = np.datetime64("1970-01-01", "D")
EARLIEST, LATEST = np.datetime64("1900-01-01", "D"), np.datetime64("2999-12-31", "D")
ORDER_FILE = "order.parquet"
EMPTY_FILE = "none.parquet"
"""File with the columns if every row was rejected; validate reports the reasons."""


def write_days(events: pa.Table, clock: str, folder: Path) -> list[str]:
    """Write events (timestamp in µs or a position) below `folder`, in source order within each file; returns the
    names. Times outside the calendar go to the first or the last day; validate quarantines them."""
    folder.mkdir(parents=True)
    if clock == "order":
        _write(events, folder / ORDER_FILE)
        return [ORDER_FILE]
    if not events.num_rows:
        _write(events, folder / EMPTY_FILE)
        return [EMPTY_FILE]
    day = np.floor_divide(events["timestamp"].to_numpy(), DAY_MICROS)
    day = np.clip(day, (EARLIEST - EPOCH).astype(int), (LATEST - EPOCH).astype(int))
    order = np.argsort(day, kind="stable")
    days, starts = np.unique(day[order], return_index=True)
    by_day = events.take(pa.array(order)).combine_chunks()
    names = []
    for number, start, end in zip(days, starts, [*starts[1:], len(day)], strict=True):
        names.append(f"{EPOCH + int(number)}.parquet")
        _write(by_day.slice(int(start), int(end - start)), folder / names[-1])
    return names


def _write(events: pa.Table, path: Path) -> None:
    # A long log has thousands of small days: zstd's set-up doubled the time of writing and of reading them.
    pq.write_table(events, path, compression="snappy", write_statistics=False, store_schema=False)


def read_days(folder: Path) -> pa.Table:
    """Read all events in day order; raises UserError naming a file that is truncated or has other columns than the
    rest."""
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise UserError(f"{folder}: holds no events. Run the stage that writes it: `dvc repro snapshot`.")
    tables = []
    for path in paths:
        try:
            tables.append(pq.ParquetFile(path, memory_map=True).read(use_threads=False))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{path}: is damaged or not a Parquet file ({str(error).splitlines()[0]}). Delete {folder.parent} and "
                "run snapshot again."
            ) from None
        if tables[-1].schema != tables[0].schema:
            raise UserError(f"{path}: its columns differ from {paths[0].name}'s. Delete {folder.parent} and run again.")
    return pa.concat_tables(tables).combine_chunks()
