"""Time and memory of a night on larger data, made by benchmarks.models.planted. Prints a table.

    python -m benchmarks.speed.scale                          # both target sizes; an hour
    python -m benchmarks.speed.scale --size 500,300,20000     # another size: users, items, events

Works on a fresh clone of HEAD through `dvc repro`, stage by stage, with a separate state directory. Lists for all users
are computed by refit; writing them to a file is the last row.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.models.planted import write
from benchmarks.quality.night import COMMAND
from benchmarks.speed.nightly import BIN, ROOT, Cost, measure

BARS = {(6000, 4000, 830_000): (2700, 6000), (50_000, 20_000, 310_000): (2700, 6000)}
"""(users, items, events) → seconds and megabytes at most."""
EVERYBODY, MOST_S = "recommend to everybody", 120  # for 50,000 users


def night(scratch: Path, size: tuple[int, int, int]) -> dict[str, Cost]:
    """Stage → its cost, over planted data of a size, and ten items for each user at the end; raises RuntimeError when
    one fails."""
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
    costs = {stage: measure([*command, stage], clone, environment) for stage in stages}
    if (held := clone / "data/refit/held.json").exists():
        raise RuntimeError(f"nothing was published: {json.loads(held.read_text('utf-8'))['empty']}")
    known = pc.unique(pq.read_table(data / "events.parquet", columns=["user_id"])["user_id"])
    (scratch / "users.txt").write_text("\n".join(known.to_pylist()) + "\n", "utf-8")
    asked = ["--users", str(scratch / "users.txt"), "-k", "10", "--out", str(scratch / "lists.parquet")]
    return costs | {EVERYBODY: measure([sys.executable, "-c", COMMAND, "recommend", *asked], clone, environment)}


def told(asked: tuple[int, int, int], costs: dict[str, Cost]) -> Table:
    """A size's stages, their sum beside its bar, and what it takes to recommend to everybody."""
    table = Table(title=f"{asked[0]:,} users, {asked[1]:,} items, {asked[2]:,} events", title_justify="left")
    for column in ("stage", "seconds", "peak MB", "bar", "met"):
        table.add_column(column, justify="right" if column in ("seconds", "peak MB") else "left")
    stages, bar = {name: cost for name, cost in costs.items() if name != EVERYBODY}, BARS.get(asked)
    for stage, cost in stages.items():
        table.add_row(stage, f"{cost.seconds:.1f}", f"{cost.peak:,.0f}", "", "")
    seconds, peak = sum(cost.seconds for cost in stages.values()), max(cost.peak for cost in stages.values())
    everybody = costs[EVERYBODY]
    met = ("yes" if seconds <= bar[0] and peak <= bar[1] else "NO") if bar else ""
    quick = ("yes" if everybody.seconds <= MOST_S else "NO") if bar else ""
    table.add_section()
    table.add_row("all", f"{seconds:.1f}", f"{peak:,.0f}", f"{bar[0]:,} s, {bar[1]:,} MB" if bar else "", met)
    table.add_row(EVERYBODY, f"{everybody.seconds:.1f}", f"{everybody.peak:,.0f}", f"{MOST_S} s" if bar else "", quick)
    return table


def main() -> None:
    """Measure and print each size when it is through: together they take an hour and more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=lambda text: tuple(int(part) for part in text.split(",")), metavar="U,I,E")
    size = parser.parse_args().size
    for asked in [size] if size else BARS:
        with tempfile.TemporaryDirectory(prefix="nightreel-scale-") as scratch:
            Console(width=110).print(told(asked, night(Path(scratch), asked)))


if __name__ == "__main__":
    main()
