"""Cost of a night: first run, second run, `dvc repro`, one changed title, one `recommend`. Prints a table.

    python -m benchmarks.speed.nightly            # in an environment with nightreel[pipeline]

Works on a fresh clone of HEAD in a temporary folder, with a separate state directory. Peak memory is the largest sum of
resident memory over the command's process tree, sampled every 0.2 s.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
EMPTY_FLOW = "from prefect import flow\n@flow\ndef empty(): pass\nempty()\n"


@dataclass(frozen=True)
class Cost:
    """Wall seconds, peak resident megabytes and what was printed."""

    seconds: float
    peak: float
    output: str


def measure(command: list[str], folder: Path, environment: dict[str, str]) -> Cost:
    """Run a command to its end; raises RuntimeError with its last lines when it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peaks), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output[-3000:]}")
    return Cost(seconds, peaks[0], output)


def _watch(process: psutil.Process, peaks: list[float]) -> None:
    while True:
        try:
            tree = [process, *process.children(recursive=True)]
            resident = [one.memory_info().rss for one in tree if one.is_running()]
        except psutil.Error:
            if not process.is_running():
                return
            continue
        peaks[0] = max(peaks[0], sum(resident) / 1e6)
        time.sleep(0.2)


def own_data(folder: Path, title: str) -> None:
    """A small catalogue with a log, in the table contract; the first item bears the given title."""
    folder.mkdir(exist_ok=True)
    n = 200
    titles = [title, *(f"Film number {i}" for i in range(1, n))]
    items = {
        "item_id": [f"i{i}" for i in range(n)],
        "title": titles,
        "genres": [["Drama", "Comedy"][i % 2 :] for i in range(n)],
    }
    pq.write_table(pa.table(items), folder / "items.parquet")
    rows = [(u, (u * 7 + s * 3) % n, 1_700_000_000 + u * 1000 + s * 60) for u in range(120) for s in range(20)]
    events = {
        "user_id": [f"u{u}" for u, _, _ in rows],
        "item_id": [f"i{i}" for _, i, _ in rows],
        "timestamp": [t for _, _, t in rows],
        "event": ["play"] * len(rows),
    }
    pq.write_table(pa.table(events), folder / "events.parquet")


def main() -> None:
    """Measure and print."""
    table = Table(title="Cost of a night", title_justify="left")
    for column in ("what", "seconds", "peak MB", "bar", "met"):
        table.add_column(column, justify="left" if column in ("what", "met") else "right")

    def row(what: str, cost: Cost, bar: str, met: bool) -> None:
        table.add_row(what, f"{cost.seconds:.1f}", f"{cost.peak:,.0f}", bar, "yes" if met else "NO")

    with tempfile.TemporaryDirectory(prefix="nightreel-benchmark-") as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environment = os.environ | {
            "NIGHTREEL_STATE": str(Path(scratch) / "state"),
            "PREFECT_HOME": str(Path(scratch) / "prefect"),
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONPATH": str(clone),
        }
        nightreel, dvc = [str(BIN / "nightreel")], [str(BIN / "dvc")]
        first = measure([*nightreel, "run"], clone, environment)
        row("nightreel run, first", first, "300 s, 3,000 MB", first.seconds <= 300 and first.peak <= 3000)
        measure([sys.executable, "-c", EMPTY_FLOW], clone, environment)
        empty = measure([sys.executable, "-c", EMPTY_FLOW], clone, environment)
        row("an empty Prefect flow", empty, "", True)
        second = measure([*nightreel, "run"], clone, environment)
        row("nightreel run, nothing changed", second, "empty flow + 12 s", second.seconds <= empty.seconds + 12)
        repro = measure([*dvc, "repro"], clone, environment)
        row("dvc repro, nothing changed", repro, "3 s", repro.seconds <= 3)
        user = next(iter(re.findall(r"nightreel recommend (\S+)", first.output)), "1")
        asked = [measure([*nightreel, "recommend", user], clone, environment) for _ in range(5)]
        typical = sorted(asked, key=lambda cost: cost.seconds)[2]
        row("nightreel recommend USER, median of 5", typical, "1.5 s", typical.seconds < 1.5)
        data = Path(scratch) / "films"
        own_data(data, "The first title")
        measure([*nightreel, "run", "--data", str(data)], clone, environment)
        own_data(data, "Another title")
        changed = measure([*nightreel, "run", "--data", str(data)], clone, environment)
        encoded = re.findall(r"encoded ([\d,]+) of ([\d,]+) items", changed.output)
        once = bool(encoded) and encoded[0] == ("1", "200")
        row("one title changed: items encoded again", changed, "1 item", once)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
