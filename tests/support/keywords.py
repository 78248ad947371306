"""Keywords and searches for a small bundle, written as refit writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.data.dataset import Dataset
from nightreel.reader.interests import write_keywords
from tests.support.bundles import UNTIL, reseal, taste


def dataset(items: pa.Table, events: list[dict[str, Any]]) -> Dataset:
    """Only what write_keywords looks at."""
    return Dataset(items, [], pa.Table.from_pylist(events), {}, "time", True, "", UNTIL, {}, {})


def add_keywords(bundle: Path, derived: Path) -> str:
    """Space films are about rockets, love stories about weddings; item 1 about moons too; user 1 searched once."""
    items = pq.read_table(bundle / "items.parquet")
    items = items.append_column("tags", pa.array([[]] * items.num_rows, pa.list_(pa.string())))
    words = [["Rocket"] if taste(n) else ["wedding"] for n in range(items.num_rows)]
    words[1] = ["rocket", "moon"]
    rows = [{"keywords": own, "keyword_scores": [0.5] * len(own)} for own in words]
    pq.write_table(pa.Table.from_pylist(rows), derived)
    search = {"user": 1, "time": UNTIL, "event": "search", "text": " Space  OPERA "}
    write_keywords(bundle, dataset(items, [search]), derived)
    return reseal(bundle)
