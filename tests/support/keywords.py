"""Keywords and searches for a small bundle, written as refit writes them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.data.contract.schema import SEARCHES_SCHEMA
from nightreel.data.dataset import Dataset
from nightreel.reader.interests import write_keywords
from tests.support.bundles import UNTIL, reseal, taste


def dataset(items: pa.Table) -> Dataset:
    """Only what write_keywords looks at."""
    return Dataset(items, [f"u{n:03d}" for n in range(40)], pa.table({}), {}, "time", True, "", UNTIL, {}, {})


def write_searches(path: Path, *rows: tuple[int, float, str]) -> Path:
    """Searches of (user, time, words), as validate writes them."""
    columns = {"user": [r[0] for r in rows], "time": [r[1] for r in rows], "text": [r[2] for r in rows]}
    pq.write_table(pa.table(columns).cast(SEARCHES_SCHEMA), path)
    return path


def add_keywords(bundle: Path, derived: Path) -> str:
    """Space films are about rockets, love stories about weddings; item 1 about moons too; user 1 searched once."""
    items = pq.read_table(bundle / "items.parquet")
    items = items.append_column("tags", pa.array([[]] * items.num_rows, pa.list_(pa.string())))
    words = [["Rocket"] if taste(n) else ["wedding"] for n in range(items.num_rows)]
    words[1] = ["rocket", "moon"]
    rows = [{"keywords": own, "keyword_scores": [0.5] * len(own)} for own in words]
    pq.write_table(pa.Table.from_pylist(rows), derived)
    searches = write_searches(derived.with_name("searches.parquet"), (1, UNTIL, "space opera"))
    write_keywords(bundle, dataset(items), derived, searches)
    return reseal(bundle)
