"""Fault injection against real servers: kills, races, damaged files, a failing store; whole nights; a failing MLflow.

    python -m benchmarks.faults                  # everything; some minutes
    python -m benchmarks.faults --only races     # one campaign
    python -m benchmarks.faults --kills 20 --rounds 10 --places 2

Prints a table of counts. The server is SeaweedFS from its package, on loopback, in a temporary folder. Publishers and
readers are separate processes; a proxy between a publisher and the server selects the store call at which it is killed,
and simulates faults of the store. `nights` kills Prefect, its worker and `nightreel up`, and waits for the next night.
Exits with status 1 when a count is not as expected.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.faults import damage, kills, nights, races, recording, rolling_back, weather, withdrawing, world
from benchmarks.faults.world import Row, World
from benchmarks.speed.free_ports import free_ports
from benchmarks.speed.reading import ONE_CORE
from nightreel.store.backends.seaweedfs import ObjectStore


def main() -> int:
    """Run the campaigns and print."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=100, help="rounds of eight concurrent publishers")
    parser.add_argument(
        "--places", type=int, default=4, help="number of store calls of a publish at which the store fails"
    )
    parser.add_argument("--seed", type=int, default=0)
    every = ("kills", "races", "damage", "weather", "rollback", "nights", "recording", "withdrawing")
    parser.add_argument("--only", nargs="*", choices=every)
    asked = parser.parse_args()
    campaigns: dict[str, Callable[[World], list[Row]]] = {
        "kills": lambda made: kills.campaign(made, asked.kills, asked.seed),
        "races": lambda made: races.campaign(made, asked.rounds),
        "damage": lambda made: damage.campaign(made, seed=asked.seed),
        "weather": lambda made: weather.campaign(made, asked.places),
        "rollback": rolling_back.campaign,
        "nights": nights.campaign,
        "recording": recording.campaign,
        "withdrawing": withdrawing.campaign,
    }
    os.environ |= ONE_CORE  # before any process begins
    rows = []
    with tempfile.TemporaryDirectory(prefix="nightreel-faults-") as scratch:
        server = ObjectStore(Path(scratch) / "object-store", free_ports())
        made = world.build(Path(scratch), server.start())
        try:
            for name, campaign in campaigns.items():
                if not asked.only or name in asked.only:
                    began = time.monotonic()
                    rows += [*campaign(made), Row(f"  {name}: seconds", f"{time.monotonic() - began:.0f}", "", True)]
        finally:
            server.stop()
    show(rows)
    return 0 if all(row.met for row in rows) else 1


def show(rows: list[Row]) -> None:
    """The table."""
    table = Table(title="Fault injection against real servers", title_justify="left")
    for name in ("what", "counted", "has to be", "met"):
        table.add_column(name, justify="right" if name == "counted" else "left")
    for row in rows:
        table.add_row(row.what, row.counted, row.must, ("yes" if row.met else "NO") if row.must else "")
    Console(width=118).print(table)


if __name__ == "__main__":
    sys.exit(main())
