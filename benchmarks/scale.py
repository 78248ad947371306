"""Time and memory of a night on larger data, made by benchmarks.planted. Prints a table.

    python -m benchmarks.scale                          # both sizes of the bars; an hour
    python -m benchmarks.scale --size 500,300,20000     # one of your own: users, items, events

Works on a fresh clone of HEAD through `dvc repro`, stage by stage, with a state directory of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.nightly import BIN, ROOT, Cost, measure
from benchmarks.planted import write

BARS = {(6000, 4000, 830_000): (2700, 6000), (50_000, 20_000, 310_000): (2700, 6000)}
"""(users, items, events) → seconds and megabytes at most."""


def night(scratch: Path, size: tuple[int, int, int]) -> dict[str, Cost]:
    """Stage → its cost, over planted data of a size; raises RuntimeError when a stage fails."""
    users, items, events = size
    clone, data = scratch / "clone", scratch / "data"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    write(data, users=users, items=items, events=events)
    params = clone / "params.yaml"
    values = yaml.safe_load(params.read_text("utf-8"))
    values["snapshot"]["source"] = str(data)
    params.write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    environment = os.environ | {"NIGHTREEL_STATE": str(scratch / "state"), "PATH": f"{BIN}:{os.environ['PATH']}"}
    stages = yaml.safe_load((clone / "dvc.yaml").read_text("utf-8"))["stages"]
    command = [sys.executable, "-m", "dvc", "repro", "-s"]
    return {stage: measure([*command, stage], clone, environment) for stage in stages}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=lambda text: tuple(int(part) for part in text.split(",")), metavar="U,I,E")
    size = parser.parse_args().size
    table = Table(title="Larger data", title_justify="left")
    for column in ("users, items, events", "stage", "seconds", "peak MB", "bar", "met"):
        table.add_column(column, justify="right" if column in ("seconds", "peak MB") else "left")
    for asked in [size] if size else BARS:
        with tempfile.TemporaryDirectory(prefix="nightreel-scale-") as scratch:
            costs = night(Path(scratch), asked)
        for stage, cost in costs.items():
            table.add_row("", stage, f"{cost.seconds:.1f}", f"{cost.peak:,.0f}", "", "")
        seconds, peak = sum(cost.seconds for cost in costs.values()), max(cost.peak for cost in costs.values())
        bar = BARS.get(asked)
        met = "" if bar is None else "yes" if seconds <= bar[0] and peak <= bar[1] else "NO"
        limit = f"{bar[0]:,} s, {bar[1]:,} MB" if bar else ""
        table.add_row(", ".join(f"{n:,}" for n in asked), "all", f"{seconds:.1f}", f"{peak:,.0f}", limit, met)
        table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
