"""Whether a new item reaches its people: planted items, measured in the lists that a published version gives.

    python -m benchmarks.quality.planted_items --world films --data FOLDER    # a catalogue with titles, and its log
    python -m benchmarks.quality.planted_items --world music                  # made up, as is --world chinese
    python -m benchmarks.quality.planted_items --workspace FOLDER             # kept with --keep: only the measuring

To the catalogue are added new items without events: a sequel of each of the largest series of films, new tracks of
twelve artists, new episodes of twelve Chinese series (what they are made of: benchmarks.quality.worlds).
100 other items lose their events, so that there are other new items. After one night with all defaults, the Reader is
asked for the lists of made-up fans: three to five items of one series or artist and two popular ones. The new item
should be in the first 20 for fans of its own, and for nobody else.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.quality import night
from benchmarks.quality.worlds import films, planted
from benchmarks.quality.worlds.chinese import chinese
from benchmarks.quality.worlds.made_up import plant
from benchmarks.quality.worlds.music import music
from benchmarks.quality.worlds.planted import Planted
from nightreel.reader.reader import Reader

TOP = 20
FILMS, MADE_UP = "films", {"music": music, "chinese": chinese}


def rows(reader: Reader, many: Sequence[Planted]) -> Iterator[tuple[Planted, float, float, float]]:
    """Each planted item with its fans' median place (inf beyond the first TOP), and the share of its fans, and of those
    of other series, who get it among the first TOP."""
    lists = {
        each.item: [[item.item_id for item in reader.recommend(history=fan, k=TOP)] for fan in each.fans]
        for each in many
    }
    for each in many:
        own = [found.index(each.item) + 1 if each.item in found else np.inf for found in lists[each.item]]
        others = [each.item in found for item, some in lists.items() if item != each.item for found in some]
        yield each, float(np.median(own)), float(np.isfinite(own).mean()), float(np.mean(others))


def make(world: str, data: Path | None, folder: Path, seed: int) -> None:
    """Write the world with its planted items to `folder`."""
    if data is not None:
        films.plant(data, folder, seed)
    else:
        plant(MADE_UP[world](seed), folder, seed)


def show(reader: Reader, many: Sequence[Planted]) -> Table:
    """The table of a night's lists."""
    table = Table("series", "items", "told by", "place for its fans", f"fans with it in the first {TOP}", "others")
    shares = []
    for each, median, own, others in rows(reader, many):
        shares.append((own, others))
        table.add_row(each.name, str(each.items), each.told, f"{median:g}", f"{own:.0%}", f"{others:.1%}")
    own, others = np.mean(shares, axis=0)
    table.add_row("all", "", "", "", f"{own:.1%}", f"{others:.2%}", style="bold")
    return table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--world", choices=[FILMS, *MADE_UP], default=FILMS)
    parser.add_argument("--data", type=Path, help="of films: folder with items.parquet (titles) and events.parquet")
    parser.add_argument("--workspace", type=Path, help="folder of an earlier run, kept with --keep")
    parser.add_argument("--keep", type=Path, help="where the night takes place; default: a temporary folder")
    parser.add_argument("--seed", type=int, default=0, help="of the world, its planted items and their fans")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the night")
    given = parser.parse_args()
    if given.workspace is None and (given.data is None) == (given.world == FILMS):
        parser.error("name --data for films, and for films alone; or --workspace")
    with tempfile.TemporaryDirectory() as scratch:
        place = (given.workspace or given.keep or Path(scratch)).resolve()
        if given.workspace is None:
            make(given.world, given.data, place / "data", given.seed)
            night.run(str(place / "data"), dict(each.split("=", 1) for each in given.set), place)
        reader = Reader.open(place / "night" / "state" / "store")
        Console(width=110).print(show(reader, planted.read(place)))


if __name__ == "__main__":
    main()
