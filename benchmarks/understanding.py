"""What understanding costs and how good its tags are, over a catalogue that validate has written.

    python -m benchmarks.understanding                  # data/validate/items.parquet, after a run
    python -m benchmarks.understanding --items FILE

The stage runs in processes of its own, with an empty cache, three times: over everything, with nothing changed, and
with the descriptions of 1% of the items changed. The tags' figures are cross-validated: no item's tags are judged by a
head that has learned from it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
METHODS = {"learned": "learned head", "commonest": "always the commonest", "label_names": "nearest label name"}
COLUMNS = ("precision@1", "f1_micro", "f1_macro", "map", "tagged")
CHANGED = 0.01


def run_stage(folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds, and what the stage noted of its work."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(folder / "state")}
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "tasks.understand"], cwd=folder, env=environment, check=True)
    spent = time.monotonic() - began
    return spent, json.loads((folder / "state/notes/understand.json").read_text("utf-8"))


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


def show_costs(rows: list[tuple[str, float, dict[str, Any]]], console: Console) -> None:
    """A row a run; the last is beside its bar: 3% of the full run plus the start-up."""
    table = Table("run", "seconds", "items described", title="Understanding a catalogue")
    for name, seconds, note in rows:
        table.add_row(name, f"{seconds:.1f}", f"{note.get('described', 0):,}")
    full, idle, part = (seconds for _, seconds, _ in rows)
    console.print(table)
    console.print(
        f"1% changed: {part - idle:.1f} s more than nothing changed, {(part - idle) / full:.1%} of the full run"
    )


def show_tags(tags: dict[str, Any], console: Console) -> None:
    """The learned tags beside their rivals."""
    if "learned" not in tags:
        console.print("tags: none were learned: too few items with prose share a label")
        return
    title = f"Tags: {tags['labels']} labels, {tags['items']:,} items with prose, cross-validated"
    table = Table("method", *COLUMNS, title=title)
    for name, shown in METHODS.items():
        table.add_row(shown, *(f"{tags[name][column]:.3f}" for column in COLUMNS))
    console.print(table)
    console.print(f"expected calibration error of the learned probabilities: {tags['calibration_error']:.4f}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, default=Path("data/validate/items.parquet"))
    items: Path = parser.parse_args().items
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy = folder / "data/validate/items.parquet"
        copy.parent.mkdir(parents=True)
        table = pq.read_table(items)
        at = table.schema.get_field_index("media_uri")
        # Text alone: media files are not part of what is timed here.
        without = table.set_column(at, table.schema.field(at), pa.nulls(table.num_rows, pa.string()))
        pq.write_table(without, copy)
        shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
        rows = [("everything", *run_stage(folder))]
        rows.append(("nothing changed", *run_stage(folder)))
        tags = json.loads((folder / "metrics/understand.json").read_text("utf-8")).get("tags", {})
        rows.append((f"{change(copy):,} descriptions changed", *run_stage(folder)))
    console = Console(width=110)
    show_costs(rows, console)
    show_tags(tags, console)


if __name__ == "__main__":
    main()
