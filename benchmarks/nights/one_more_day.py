"""What one more day costs: a night that goes on from the night before, and the same night from scratch.

    python -m benchmarks.nights.one_more_day SOURCE                    # the log's last day but one
    python -m benchmarks.nights.one_more_day SOURCE --step 12h --folder FOLDER

All are nights of replays: they see the log as it was, and are judged by what users did on the step after. The first
replay has three nights, of which the others may go on from the first (finetune.search_nights, finetune.warm_nights);
the second replay has the last night alone, from scratch. Seconds are those of the whole night; run it on a quiet
machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from nightreel.data.privacy import KEY_VARIABLE
from nightreel.evaluation.metrics.bootstrap import Interval, mean_interval

REPLICATES, SEED = 2_000, 20_261_201
SCRATCH = ("finetune.search_nights=0", "finetune.warm_nights=0")


def replayed(folder: Path, given: argparse.Namespace, *more: str) -> list[dict[str, Any]]:
    """The rows of a replay's nights; a finished replay is read, an unfinished one goes on."""
    words = ["replay", given.source, "--step", given.step, "--state", str(folder), *more]
    # With one key, users have the same pseudonyms in both replays.
    environment = {KEY_VARIABLE: "one more day, and the same users", **os.environ}
    command = [sys.executable, "-m", "nightreel", *words]
    if code := subprocess.run(command, stdout=sys.stderr, check=False, env=environment).returncode:
        sys.exit(code)  # the replay has said why
    rows: list[dict[str, Any]] = pq.read_table(folder / "nights.parquet").to_pylist()
    return rows


def paired(one: Path, other: Path, night: object) -> tuple[Interval, float]:
    """Difference of the served lists' NDCG@10, the first less the second, over the users of one night; and the second's
    mean."""
    tables = (pq.read_table(folder / "judged.parquet").to_pylist() for folder in (one, other))
    first, second = ({row["user_id"]: row["nightreel"] for row in rows if row["night"] == night} for rows in tables)
    users = sorted(first.keys() & second.keys())
    theirs = np.array([second[user] for user in users])
    gaps = np.array([first[user] for user in users]) - theirs
    return mean_interval(gaps, REPLICATES, np.random.default_rng(SEED)), float(theirs.mean())


def main() -> int:
    """Run and print; returns the exit status."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.nights.one_more_day",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="folder with items.* and events.*")
    parser.add_argument("--step", default="1d", help="time from one night to the next (default: 1d)")
    parser.add_argument("--folder", type=Path, help="where all files are kept; again, to go on after a kill")
    given = parser.parse_args()
    if given.folder is not None:
        return _run(given.folder.resolve(), given)
    with tempfile.TemporaryDirectory(prefix="one-more-day-") as folder:
        return _run(Path(folder), given)


def _run(folder: Path, given: argparse.Namespace) -> int:
    first, second, goes_on = replayed(folder / "goes_on", given, "--nights", "3")
    settings = [word for change in SCRATCH for word in ("--set", change)]
    (scratch,) = replayed(folder / "scratch", given, "--nights", "1", *settings)
    if goes_on["night"] != scratch["night"] or not (goes_on["published"] and scratch["published"]):
        print(f"nothing to compare: {goes_on['reason']} {scratch['reason']}")
        return 1
    gap, base = paired(folder / "goes_on", folder / "scratch", goes_on["night"])
    table = Table(title=f"{Path(given.source).name}: one more day", title_justify="left")
    for name in ("night", "date", "seconds", "of the same from scratch", "NDCG@10 on the day after"):
        table.add_column(name, justify="left" if name in ("night", "date") else "right")
    nights = {"the first": first, "goes on from it": second, "goes on": goes_on, "the same from scratch": scratch}
    for name, row in nights.items():
        share = "" if row in (first, second) else f"{row['seconds'] / scratch['seconds']:.0%}"
        table.add_row(name, f"{row['night']:%Y-%m-%d %H:%M}", f"{row['seconds']:.0f}", share, f"{row['nightreel']:.4f}")
    Console(width=110).print(table)
    low, high = gap.low / base, gap.high / base
    print(f"paired difference, by user: {gap.point / base:+.1%} of NDCG@10, 95% {low:+.1%} to {high:+.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
