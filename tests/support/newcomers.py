"""Logs with planted tastes of countries, and a small bundle that knows newcomers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle import newcomers
from nightreel.data.histories import Histories
from nightreel.data.privacy import pseudonym
from nightreel.models.newcomers.context import ContextColumn, ContextLog
from nightreel.models.newcomers.segments import Segments
from nightreel.reader.reader import Reader
from tests.support.bundles import reseal, write_bundle

DAY = 86_400.0


def column(labels: list[tuple[str, ...]], owners: np.ndarray) -> ContextColumn:
    """A column from each owner's labels, all of which count."""
    values = tuple(sorted({label for row in labels for label in row}))
    codes = [values.index(label) for row in labels for label in row]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in labels])]).astype(np.int64)
    return ContextColumn(values, indptr, np.array(codes, np.int64), owners)


def log_of(histories: Histories, n_items: int, **labels: list[tuple[str, ...]]) -> ContextLog:
    """A log with columns of users."""
    rows = histories.rows
    columns = {name: column(own, rows) for name, own in labels.items()}
    return ContextLog(
        rows,
        histories.items.astype(np.int64),
        histories.times,
        np.ones(len(rows)),
        np.ones(len(rows), bool),
        columns,
        {},
        n_items,
    )


def planted(rng: np.random.Generator, users: int = 600, items: int = 60) -> tuple[Histories, list[tuple[str, ...]]]:
    """Users of three countries, each of which prefers a third of the items; (their events, their countries)."""
    country, begins = rng.integers(3, size=users), np.sort(rng.uniform(0, 100, users))
    fame = 1 / (1 + rng.permutation(items))
    rows = []
    for user in range(users):
        odds = fame * np.where(np.arange(items) % 3 == country[user], 4.0, 1.0)
        taken = rng.choice(items, 6, replace=False, p=odds / odds.sum())
        rows.append((taken.tolist(), (1.7e9 + DAY * (begins[user] + np.arange(6))).tolist()))
    return Histories.from_rows(rows), [(f"c{each}",) for each in country]


def write_with_newcomers(folder: Path, key: bytes | None = None) -> str:
    """A bundle whose users of taste 0 live in FR and those of taste 1 in DE, with two newcomers, one of each; returns
    its digest. Items of DE are those with odd numbers."""
    write_bundle(folder, key=key)
    reader = Reader.open_bundle(folder, check=False)
    histories = reader.users.histories
    country = [
        ("de",) if len(row[0]) and row[0][0] % 2 else ("fr",)
        for row in map(histories.__getitem__, range(len(histories)))
    ]
    segments = Segments.fit(log_of(histories, len(reader.items), country=country), ["country"], 3.0, 0.0)
    root = folder / newcomers.FOLDER
    root.mkdir()
    for name, array in segments.arrays().items():
        np.save(root / f"{name}.npy", array)
    named = '{"columns": [["country", ["de", "fr"]]], "names": ["country", "plan", "tier"]}'
    (root / newcomers.FILE).write_text(named)
    ids = {"anna": [0], "bert": [1]}
    own = sorted((pseudonym(key, user) if key else user, rows) for user, rows in ids.items())
    table = pa.table([[user for user, _ in own], [rows for _, rows in own]], schema=newcomers.SCHEMA)
    pq.write_table(table, root / newcomers.USERS)
    return reseal(folder)
