"""What heads tell and what values bring and cost, on the test part of a night, of which neither has seen anything.

    python -m benchmarks.value --data FOLDER              # a night in a fresh clone, then the tables
    python -m benchmarks.value --workspace WORKSPACE      # of a night that has run

WORKSPACE is the folder of a night, with `data` and params.yaml in it, such as `.nightreel/runs/<night>`. Printed are
AUC and log loss of each head, beside LightGBM's classifier with its defaults, trained on the same rows with the same
features; and for a fixed grid of values NDCG@10 of what users wanted, how many of the held-out likes and dislikes are
in the first 10, and how much of what users met of a list was watched. Nothing is tuned on these users.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.quality.night import NightError, run
from benchmarks.value import head_scores, pareto
from benchmarks.value.held_out import HeldOut
from nightreel.stage import state_directory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.value", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", help="a folder with items.* and events.*, over which a night runs")
    source.add_argument("--workspace", type=Path, help="folder of a night that has run")
    parser.add_argument("--state", type=Path, help="folder of the new night (default: in the state directory)")
    parser.add_argument("--replicates", type=int, default=1000, help="samples of users (default: 1000)")
    parser.add_argument("--users", type=int, help="users of the test part, sampled at random (default: all)")
    asked = parser.parse_args()
    console = Console(width=230)
    try:
        if asked.workspace:
            workspace = asked.workspace.resolve()
        else:
            state = (asked.state or state_directory() / "benchmarks" / "value").resolve()
            workspace = run(asked.data, {}, state).workspace
        night = HeldOut.read(workspace, asked.users)
    except NightError as error:
        raise SystemExit(f"error: {error}") from None
    rows = night.examples()
    scores = head_scores.measured(night, rows, asked.replicates)
    console.print(head_scores.table_of(scores, len(rows.users), len(np.unique(rows.users))))
    console.print(pareto.table_of(pareto.measured(night, asked.replicates), night))


if __name__ == "__main__":
    main()
