"""A catalogue of films with titles and events, to which a sequel of each of its largest series is added.

A sequel has the name of its series in the title ("Star Trek: The Return") and the usual genres; nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from os.path import commonpath
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.quality.worlds.planted import LEAST_ITEMS, PLANTED, Planted, counts_of, fans, most_used, write

REST = re.compile(r"(\s*[:(].*|\s-\s.*|,?\s+(part\s+)?(\d+|[ivx]+|the movie)\b.*)$", re.IGNORECASE)
REST_NUMBER = re.compile(r"(,?\s+(part\s+)?(\d+|[ivx]+)\b.*|\s*\(.*)$", re.IGNORECASE)


def series_of(titles: Sequence[str], events: Sequence[int]) -> list[tuple[str, list[int]]]:
    """The largest series, by events: name and places in the catalogue.

    Args:
        titles: Titles, which begin with the name of the series.
        events: Events of each item.

    Example:
        >>> names = ["Saw (2004)", "Saw II (2005)", "Saw III (2006)", "Saw: Legacy (2017)", "Big (1988)"]
        >>> series_of(names, [9, 8, 7, 6, 50])
        [('Saw', [0, 1, 2, 3])]
    """
    groups: dict[str, list[int]] = {}
    for at, title in enumerate(titles):
        name = REST.sub("", title).strip()
        if name and events[at]:
            groups.setdefault(name, []).append(at)
    # "Mission: Impossible" and "Mission: Impossible II" have more in common than what stands before the colon.
    large = [
        (commonpath([REST_NUMBER.sub("", titles[at]) for at in places]).strip(" :-,(") or name, places)
        for name, places in groups.items()
        if len(places) >= LEAST_ITEMS
    ]
    return sorted(large, key=lambda each: (-sum(events[at] for at in each[1]), each[0]))[:PLANTED]


def plant(data: Path, folder: Path, seed: int = 0) -> None:
    """Write the catalogue of `data` (items.parquet with titles, events.parquet) with the sequels to `folder`."""
    items, log = pq.read_table(data / "items.parquet"), pq.read_table(data / "events.parquet")
    ids, rng = [str(each) for each in items["item_id"].to_pylist()], np.random.default_rng(seed)
    events = counts_of(ids, log)
    found = series_of([str(title) for title in items["title"].to_pylist()], events)
    in_series = {ids[at] for _, places in found for at in places}
    popular = most_used(ids, events, in_series)
    planted, rows = [], []
    for number, (name, places) in enumerate(found):
        own = [ids[at] for at in places]
        planted.append(Planted(f"planted{number}", name, "title", len(own), fans(rng, own, popular)))
        genres = items["genres"].take(places).to_pylist() if "genres" in items.column_names else []
        rows.append({"item_id": f"planted{number}", "title": f"{name}: The Return", "genres": _usual(genres)})
    names = items.schema.names
    more = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=items.schema)
    write(folder, pa.concat_tables([items, more]), log, planted, in_series, rng)


def _usual(genres: list[list[str] | None]) -> list[str]:
    """Genres of at least half of a series."""
    flat = [genre for each in genres for genre in each or []]
    return sorted(genre for genre in set(flat) if 2 * flat.count(genre) >= len(genres))
