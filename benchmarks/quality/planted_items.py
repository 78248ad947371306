"""Whether a new item reaches its people: planted sequels, measured in the lists that a published version gives.

    python -m benchmarks.quality.planted_items --data FOLDER      # a catalogue with titles; runs a night on a copy
    python -m benchmarks.quality.planted_items --workspace STATE  # of such a night: only the measuring

To the catalogue are added a sequel of each of its largest series ("Star Trek: The Return", genres as the series has
them, nothing else), without events, and REMOVED other items lose theirs, so that there are other new items. After one
night with all defaults, the Reader is asked for the lists of made-up fans: three to five films of one series and two
popular ones. A sequel should be in the first 20 for fans of its series, and for nobody else.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.quality import night
from nightreel.reader.reader import Reader

SERIES, LEAST_FILMS, FANS, REMOVED, TOP, POPULAR = 12, 4, 20, 100, 20, 200
REST = re.compile(r"(\s*[:(].*|\s-\s.*|,?\s+(part\s+)?(\d+|[ivx]+|the movie)\b.*)$", re.IGNORECASE)
REST_NUMBER = re.compile(r"(,?\s+(part\s+)?(\d+|[ivx]+)\b.*|\s*\(.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Planted:
    """A planted sequel. films: ids of its series; fans: their histories of ids."""

    item: str
    name: str
    films: list[str]
    fans: list[list[str]]


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
        if len(places) >= LEAST_FILMS
    ]
    return sorted(large, key=lambda each: (-sum(events[at] for at in each[1]), each[0]))[:SERIES]


def plant(data: Path, folder: Path, seed: int = 0) -> list[Planted]:
    """Write the catalogue with the sequels, and the events without those of REMOVED items, into `folder`."""
    items, log = pq.read_table(data / "items.parquet"), pq.read_table(data / "events.parquet")
    ids = [str(each) for each in items["item_id"].to_pylist()]
    counted = pc.value_counts(log["item_id"]).to_pylist()
    counts = {str(each["values"]): int(each["counts"]) for each in counted}
    events, rng = [counts.get(item, 0) for item in ids], np.random.default_rng(seed)
    found = series_of([str(title) for title in items["title"].to_pylist()], events)
    in_series = {at for _, places in found for at in places}
    popular = [at for at in np.argsort(events)[::-1][:POPULAR].tolist() if at not in in_series]
    planted, rows = [], []
    for number, (name, places) in enumerate(found):
        fans = [[ids[at] for at in _fan(rng, places, popular)] for _ in range(FANS)]
        planted.append(Planted(f"planted{number}", name, [ids[at] for at in places], fans))
        genres = items["genres"].take(places).to_pylist() if "genres" in items.column_names else []
        rows.append({"item_id": f"planted{number}", "title": f"{name}: The Return", "genres": _usual(genres)})
    kept = items.schema.names
    more = pa.Table.from_pylist([{name: row.get(name) for name in kept} for row in rows], schema=items.schema)
    removed = rng.choice([at for at in range(len(ids)) if at not in in_series], REMOVED, replace=False)
    gone = pa.array([items["item_id"][at].as_py() for at in removed.tolist()], log["item_id"].type)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables([items, more]), folder / "items.parquet")
    pq.write_table(log.filter(pc.invert(pc.is_in(log["item_id"], gone))), folder / "events.parquet")
    (folder.parent / "planted.json").write_text(json.dumps([vars(each) for each in planted]), "utf-8")
    return planted


def _fan(rng: np.random.Generator, places: list[int], popular: list[int]) -> list[int]:
    own = rng.choice(places, min(len(places), int(rng.integers(3, 6))), replace=False)
    history = np.concatenate([own, rng.choice(popular, 2, replace=False)])
    return [int(at) for at in rng.permutation(history)]


def _usual(genres: list[list[str] | None]) -> list[str]:
    """Genres of at least half of a series."""
    flat = [genre for each in genres for genre in each or []]
    return sorted(genre for genre in set(flat) if 2 * flat.count(genre) >= len(genres))


def rows(reader: Reader, planted: Sequence[Planted]) -> Iterator[tuple[str, int, float, float, float]]:
    """Of each sequel: its series, number of films, its fans' median place (inf beyond the first TOP), and the share of
    its fans, and of those of other series, who get it among the first TOP."""
    lists = {
        each.item: [[item.item_id for item in reader.recommend(history=fan, k=TOP)] for fan in each.fans]
        for each in planted
    }
    for each in planted:
        own = [found.index(each.item) + 1 if each.item in found else np.inf for found in lists[each.item]]
        others = [each.item in found for item, many in lists.items() if item != each.item for found in many]
        yield each.name, len(each.films), float(np.median(own)), float(np.isfinite(own).mean()), float(np.mean(others))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with items.parquet (titles) and events.parquet")
    parser.add_argument("--workspace", type=Path, help="folder of an earlier --data, kept with --keep")
    parser.add_argument("--keep", type=Path, help="where the night takes place; default: a temporary folder")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the night")
    given = parser.parse_args()
    if (given.data is None) == (given.workspace is None):
        parser.error("name --data or --workspace")
    with tempfile.TemporaryDirectory() as scratch:
        place = given.workspace or given.keep or Path(scratch)
        if given.data:
            planted = plant(given.data, place.resolve() / "data")
            night.run(str(place.resolve() / "data"), dict(each.split("=", 1) for each in given.set), place.resolve())
        planted = [Planted(**each) for each in json.loads((place / "planted.json").read_text("utf-8"))]
        reader = Reader.open(place / "night" / "state" / "store")
        table = Table("series", "films", "place for its fans", f"fans with it in the first {TOP}", "others")
        shares = []
        for name, films, median, fans, others in rows(reader, planted):
            shares.append((fans, others))
            table.add_row(name, str(films), f"{median:g}", f"{fans:.0%}", f"{others:.1%}")
        fans, others = np.mean(shares, axis=0)
        table.add_row("all", "", "", f"{fans:.1%}", f"{others:.2%}", style="bold")
        Console().print(table)


if __name__ == "__main__":
    main()
