"""Items that may not be shown at the time of the run, by their rights (blocked, published_at, expires_at).

    today.json  {"hidden": [ascending item ids], "since": epoch seconds, "until": epoch seconds}

The same items are hidden between `since` and `until` (null: no bound). These are times at which rights change, not the
time of the run, so that the file changes only when the set of hidden items does.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import Any

from nightreel.stage import read_json, write_json

FILE = "today.json"


def keep(folder: Path, moment: float) -> None:
    """Write today.json next to items.parquet, unless the existing one is valid at the time (epoch seconds). Whoever
    writes other tables removes it with the earlier ones."""
    path = folder / FILE
    if not path.exists() or not _holds(read_json(path), moment):
        write_json(path, today(folder / "items.parquet", moment))


def read(folder: Path) -> frozenset[str]:
    """Ids of the items that may not be shown at the time of the run. folder: of snapshot."""
    return frozenset(read_json(folder / FILE)["hidden"])


def _holds(today: dict[str, Any], moment: float) -> bool:
    """Whether the content is also valid at a time, epoch seconds."""
    since, until = today["since"], today["until"]
    return (since is None or since <= moment) and (until is None or moment < until)


def today(items: Path, moment: float) -> dict[str, Any]:
    """Content of today.json.

    Args:
        items: The catalogue as snapshot wrote it, a Parquet file.
        moment: Time of the run, epoch seconds.
    """
    # Imported here: pyarrow takes 0.3 s, and a run without changes doesn't need it.
    import pyarrow.parquet as pq

    from nightreel.data.item_rights import Rights
    from nightreel.data.quality.row_checks import mark_items

    table = pq.read_table(items, partitioning=None)
    # Rows that validate will quarantine, such as a second row with the same id, are in no version and don't count.
    table = table.filter(mark_items(table).clean)
    rights = Rights.of(table)
    edges = rights.edges()
    at = bisect_right(edges, moment)
    return {
        "hidden": sorted(table["item_id"].filter(rights.hidden(moment)).to_pylist()),
        "since": edges[at - 1] if at else None,
        "until": edges[at] if at < len(edges) else None,
    }
