"""Size of the upload of a new version: after a change of metadata with the same models, and after a night's refit.

    python -m benchmarks.speed.updating                 # 20,000 synthetic items x 384
    python -m benchmarks.speed.updating --items 100000  # with a vector index; minutes

One percent of the items get another title and genres, and another vector of their text. The refit has one percent more
events over the same items; every trained file may change then.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.speed.made_up_bundle import DAY, Made, assemble, made_up, unit_vectors
from nightreel.bundle.format import read_manifest
from nightreel.data.histories import Histories
from nightreel.orchestration.renewal import renew
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.settings.params_file import load
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish

SHARE, BAR = 0.01, 0.10


def retitled(made: Made, rng: np.random.Generator) -> Made:
    """Other titles, genres and vectors for a share of the items, anywhere in the catalogue."""
    n = made.items.num_rows
    rows = np.sort(rng.choice(n, max(1, int(SHARE * n)), replace=False))
    table, vectors = made.items.to_pydict(), made.vectors.copy()
    for row in rows.tolist():
        table["title"][row], table["genres"][row] = f"Renamed {row}", [f"genre{row % 5}", "renamed"]
    vectors[rows] = unit_vectors(len(rows), vectors.shape[1], rng)
    return Made(pa.table(table), vectors, made.past)


def later(made: Made, rng: np.random.Generator) -> Made:
    """A day more: a share of events is added at the histories' ends."""
    users = rng.integers(0, len(made.past), int(SHARE * len(made.past.items)))
    items = made.past.items[rng.integers(0, len(made.past.items), len(users))]
    times = made.past.times.max() + np.sort(rng.uniform(0, DAY, len(users)))
    past = made.past
    who, what, when = (np.concatenate(pair) for pair in ((past.rows, users), (past.items, items), (past.times, times)))
    return replace(made, past=Histories.from_events(who, what, when, len(past)))


def rows(root: Path, items: int, users: int) -> Iterator[list[str]]:
    """A line an update: bytes sent, their share, the bar, and the largest files among them."""
    rng, index = np.random.default_rng(1), load().finetune.vector_index.model_dump()
    made, base, store = (
        made_up(users=users, items=items, watched=40, width=384),
        root / "base",
        LocalStore(root / "store"),
    )
    assemble(base, made, index)
    precompute(base, Reader.open_bundle(base, check=False))
    first = publish(store, base, channel="live", champion=None, lineage={})
    yield ["the first version", f"{first.sent / 1e6:.1f}", "100%", "", largest(base, None)]
    changed = retitled(made, rng)
    renew(root / "renamed", base, changed.items, changed.vectors)
    yield told("1% of the items renamed, models frozen", store, root / "renamed", base, first.digest, BAR)
    assemble(root / "night", later(made, rng), index, base)
    precompute(root / "night", Reader.open_bundle(root / "night", check=False), base)
    yield told("a night's refit, 1% more events", store, root / "night", base, first.digest, None)


def told(what: str, store: LocalStore, folder: Path, base: Path, champion: str, bar: float | None) -> list[str]:
    """A publish that is not carried out says what it would send."""
    done = publish(store, folder, channel="live", champion=champion, lineage={}, dry_run=True)
    share = done.sent / sum(int(entry["size"]) for entry in read_manifest(folder).files.values())
    met = "" if bar is None else f"{bar:.0%}, {'met' if share <= bar else 'NOT met'}"
    return [what, f"{done.sent / 1e6:.1f}", f"{share:.1%}", met, largest(folder, base)]


def largest(folder: Path, base: Path | None) -> str:
    """The five largest files whose content the base lacks."""
    held = {entry["sha256"] for entry in read_manifest(base).files.values()} if base else set()
    new = {name: entry["size"] for name, entry in read_manifest(folder).files.items() if entry["sha256"] not in held}
    return ", ".join(f"{name} {new[name] / 1e6:.1f}" for name in sorted(new, key=new.__getitem__, reverse=True)[:5])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=1000)
    asked = parser.parse_args()
    table = Table(title=f"{asked.items:,} items x 384, {asked.users:,} users", title_justify="left")
    for name in ("update", "MB sent", "of the bundle", "bar", "largest files sent, MB"):
        table.add_column(name, justify="right" if name in ("MB sent", "of the bundle") else "left")
    with tempfile.TemporaryDirectory(prefix="nightreel-updating-") as scratch:
        for row in rows(Path(scratch), asked.items, asked.users):
            table.add_row(*row)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
