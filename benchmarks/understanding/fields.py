"""Cost of the stage understand and quality of its tags, on a catalogue that validate has written.

    python -m benchmarks.understanding.fields                  # data/validate/items.parquet, after a run
    python -m benchmarks.understanding.fields --items FILE [--most 1000]

The stage runs in separate processes, at first with an empty cache: on everything, with no change, with the descriptions
of 1% of the items changed, and on FEW known items, which measures its start-up: imports and the encoder's weights. CPU
seconds are compared, because a busy machine lengthens the others. The tags' metrics are cross-validated: no item's tags
are scored with a classifier that was trained on it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from nightreel.data.contract.schema import COMMENTS_SCHEMA

ROOT = Path(__file__).parents[2]
METHODS = {"learned": "learned head", "commonest": "always the commonest", "label_names": "nearest label name"}
COLUMNS = ("precision@1", "f1_micro", "f1_macro", "map", "tagged")
CHANGED, FEW, BAR = 0.01, 20, 0.03


@dataclass(frozen=True)
class Run:
    """Seconds on the clock and of the processor, and items that were described anew."""

    name: str
    seconds: float
    cpu: float
    described: int


def run_stage(folder: Path, name: str) -> Run:
    """The stage in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(folder / "state")}
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "tasks.understand"], cwd=folder, env=environment, check=True)
    after, spent = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    note = json.loads((folder / "state/notes/understand.json").read_text("utf-8"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(name, spent, cpu, int(note.get("described", 0)))


def change(path: Path) -> int:
    """Another sentence at the end of every hundredth description; returns how many."""
    table = pq.read_table(path)
    texts = table["description"].to_pylist()
    told = [at for at, text in enumerate(texts) if text]
    rows = told[:: round(1 / CHANGED)]
    for at in rows:
        texts[at] += " This line is new."
    column = table.schema.get_field_index("description")
    pq.write_table(table.set_column(column, table.schema.field(column), pa.array(texts, pa.string())), path)
    return len(rows)


def show_costs(full: Run, idle: Run, part: Run, start: Run, console: Console) -> None:
    """A row a run, and the bar: a run after a change costs the start-up and BAR of a full run at the most."""
    table = Table("run", "seconds", "CPU s", "items described", title="Understanding a catalogue")
    for run in (full, idle, part, start):
        table.add_row(run.name, f"{run.seconds:.1f}", f"{run.cpu:.1f}", f"{run.described:,}")
    console.print(table)
    more = (part.cpu - start.cpu) / full.cpu
    console.print(
        f"1% changed: {part.cpu - start.cpu:.1f} CPU s beyond the start-up, {more:.1%} of the full run (at most "
        f"{BAR:.0%}: {'met' if more <= BAR else 'NOT met'}); {(part.cpu - idle.cpu) / full.cpu:.1%} more than nothing "
        "changed"
    )  # fmt: skip


def show_tags(tags: dict[str, Any], console: Console) -> None:
    """The learned tags beside their rivals."""
    if "learned" not in tags:
        console.print("tags: none were trained, because too few items with text share a label")
        return
    title = f"Tags: {tags['labels']} labels, {tags['items']:,} items with prose, cross-validated"
    table = Table("method", *COLUMNS, title=title)
    for name, shown in METHODS.items():
        table.add_row(shown, *(f"{tags[name][column]:.3f}" for column in COLUMNS))
    console.print(table)
    console.print(f"expected calibration error of the predicted probabilities: {tags['calibration_error']:.4f}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, default=Path("data/validate/items.parquet"))
    parser.add_argument("--most", type=int, help="use only this many items with a description, from the first on")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy = folder / "data/validate/items.parquet"
        copy.parent.mkdir(parents=True)
        table = pq.read_table(asked.items)
        if asked.most:
            table = table.filter(pc.is_valid(table["description"])).slice(0, asked.most)
        at = table.schema.get_field_index("media_uri")
        # Text alone: media files are not part of what is timed here.
        without = table.set_column(at, table.schema.field(at), pa.nulls(table.num_rows, pa.string()))
        pq.write_table(without, copy)
        pq.write_table(COMMENTS_SCHEMA.empty_table(), copy.with_name("comments.parquet"))
        shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
        full, idle = run_stage(folder, "everything"), run_stage(folder, "nothing changed")
        tags = json.loads((folder / "metrics/understand.json").read_text("utf-8")).get("tags", {})
        part = run_stage(folder, f"{change(copy):,} descriptions changed")
        pq.write_table(without.slice(0, FEW), copy)
        start = run_stage(folder, f"start-up: {FEW} items, nothing changed")
    console = Console(width=110)
    show_costs(full, idle, part, start, console)
    show_tags(tags, console)


if __name__ == "__main__":
    main()
