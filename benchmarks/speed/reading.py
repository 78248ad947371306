"""Latency and memory of the reader, on 100,000 synthetic items x 384 and on the published version; rate of the service.

    python -m benchmarks.speed.reading                # everything; some minutes
    python -m benchmarks.speed.reading --items 20000  # a smaller synthetic catalogue

The reader uses one core. The service's rate is compared with that of an empty FastAPI route in the same run, measured
with wrk where it is installed (apt-get install wrk), else with our own client, which is then the slower part.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.speed import made_up_bundle, serving
from nightreel.bundle.format import read_manifest
from nightreel.bundle.integrity.check import check
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.reader.options import RequestOptions
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from nightreel.store.backends.local import LocalStore
from nightreel.store.local_cache import fetch
from nightreel.store.open import open_store, store_uri
from nightreel.store.publisher import publish

ROUNDS, EVENTS = 200, 50
MANY = 2000  # rounds for what takes microseconds: a single pause of the machine is not its 99th percentile then
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Row:
    """A line of the table. bar: the limit as (text, met), where there is one."""

    what: str
    figure: str
    bar: str = ""
    met: bool | None = None


def milliseconds(work: Callable[[int], object], rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Median and 99th percentile of `work(n)` over rounds, after a few that don't count; and the 99th percentile of
    processor time, which a busy machine does not lengthen."""
    for n in range(5):
        work(n)
    spent, used = [], []
    for n in range(rounds):
        began, before = time.perf_counter(), time.thread_time()
        work(n + 5)
        used.append(1000 * (time.thread_time() - before))
        spent.append(1000 * (time.perf_counter() - began))
    return float(np.median(spent)), float(np.quantile(spent, 0.99)), float(np.quantile(used, 0.99))


def timed(what: str, figures: tuple[float, float, float], p50: float | None = None, p99: float | None = None) -> Row:
    """A line with its bars."""
    bars = [(name, limit, value) for name, limit, value in
            (("p50", p50, figures[0]), ("p99", p99, figures[1])) if limit is not None]  # fmt: skip
    told = ", ".join(f"{name} {limit:g} ms" for name, limit, _ in bars)
    met = all(value <= limit for _, limit, value in bars) if bars else None
    return Row(what, f"p50 {figures[0]:.2f}, p99 {figures[1]:.2f} ms, cpu {figures[2]:.2f}", told, met)


def of_reader(uri: str, big: bool) -> Iterator[Row]:
    """Opening and every kind of question; the bars are those of the made-up catalogue."""
    reader = Reader.open(uri)
    opened, _, cpu = milliseconds(lambda n: Reader.open(uri), 7)
    met = opened <= 300 if big else None
    yield Row("open, every file verified", f"{opened:.0f} ms, cpu {cpu:.0f}", "300 ms" if big else "", met)
    folder = fetch(open_store(uri), reader.digest)
    manifest = read_manifest(folder)
    checked, _, cpu = milliseconds(lambda n: check(folder, manifest), 7)
    met = checked <= 100 if big else None
    yield Row("its checks of tables, arrays, graph", f"{checked:.0f} ms, cpu {cpu:.0f}", "100 ms" if big else "", met)
    rng = np.random.default_rng(0)
    users = [reader.user_ids[int(n)].as_py() for n in rng.integers(0, len(reader.users), ROUNDS + 5)]
    ids = reader.items.ids
    used = np.flatnonzero(np.bincount(reader.histories.items, minlength=len(ids)))
    pasts = [[ids[i] for i in rng.choice(used, EVENTS)] for _ in range(ROUNDS + 5)]
    named = [ids[i] for i in rng.integers(0, len(ids), ROUNDS + 5)]

    def bars(*limits: float | None) -> tuple[float | None, ...]:
        return limits if big else (None, None)

    known = milliseconds(lambda n: reader.recommend(users[n % ROUNDS], k=10), MANY)
    yield timed("recommend, known user", known, *bars(None, 1.0))
    history = milliseconds(lambda n: reader.recommend(history=pasts[n], k=10))
    yield timed(f"recommend, history of {EVENTS}", history, *bars(8.0, 25.0))
    why = milliseconds(lambda n: reader.recommend(users[n], k=10, reasons=True), 50)
    yield timed("recommend with reasons", why)
    mixed = milliseconds(
        lambda n: reader.recommend(users[n], k=10, options=RequestOptions(diversity=0.5, max_per_genre=3))
    )
    yield timed("recommend, known user, diversity and caps", mixed)
    if reader.exploration is not None:
        drawing = milliseconds(lambda n: reader.recommend(users[n], k=10, options=RequestOptions(explore=0.1, seed=n)))
        yield timed("recommend, known user, exploration", drawing)
    yield timed("similar", milliseconds(lambda n: reader.similar(named[n % ROUNDS], 10), MANY), *bars(None, 2.0))
    began = time.perf_counter()
    reader.search("a", 1)
    yield Row("search: building the index", f"{time.perf_counter() - began:.2f} s")
    titles = [reader.items.titles[int(n)] for n in rng.integers(0, len(ids), ROUNDS + 5)]
    yield timed("search", milliseconds(lambda n: reader.search(titles[n], 10)))
    yield of_many(reader, big)


def of_many(reader: Reader, big: bool) -> Row:
    """Histories a second."""
    rows = np.resize(np.arange(len(reader.users)), 512 if big else 2048)
    past = Histories.take(reader.histories, rows)
    began = time.perf_counter()
    reader.recommend_many(past, moments=past.last_times, exclude=past, k=10)
    rate = len(rows) / (time.perf_counter() - began)
    return Row("recommend_many", f"{rate:,.0f} histories/s", "" if big else "1,000", None if big else rate >= 1000)


def show(title: str, rows: Iterator[Row]) -> None:
    """A table, printed when it is complete."""
    table = Table(title=title, title_justify="left")
    for name in ("what", "figure", "bar", "met"):
        table.add_column(name, justify="right" if name == "figure" else "left")
    for row in rows:
        table.add_row(row.what, row.figure, row.bar, "" if row.met is None else "yes" if row.met else "NO")
    Console(width=110).print(table)


def of_service(uri: str) -> Iterator[Row]:
    """Rates and swaps."""
    measured = serving.measure(uri)
    yield Row("an empty FastAPI route", f"{measured.empty:,.0f}/s")
    for what, (rate, p99) in (("known users", measured.lists), ("every list logged", measured.logged)):
        share = rate / measured.empty
        yield Row(f"recommend, {what}", f"{rate:,.0f}/s, {share:.0%}", "50% of the empty route", share >= 0.5)
        yield Row("its p99", f"{p99:.1f} ms", "50 ms", p99 <= 50)
    swaps = serving.swaps(uri)
    what = f"failed requests, {swaps.swaps} swaps, {swaps.requests:,} requests"
    yield Row(what, f"{swaps.failed}", "0 in 100 swaps", swaps.failed == 0 and swaps.swaps >= 100)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=5_000)
    asked = parser.parse_args()
    if not ONE_CORE.items() <= os.environ.items():  # numpy reads them when it is imported: begin anew
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.speed.reading", *sys.argv[1:]], os.environ | ONE_CORE
        )
    with tempfile.TemporaryDirectory(prefix="nightreel-reading-") as scratch:
        root = Path(scratch)
        made_up_bundle.write(root / "bundle", users=asked.users, items=asked.items, watched=40, width=384)
        made_up_bundle.let_explore(root / "bundle", np.random.default_rng(0))
        precompute(root / "bundle", Reader.open_bundle(root / "bundle", check=False))
        store = LocalStore(root / "store")
        publish(store, root / "bundle", channel="live", champion=None, lineage={"recipe": "made up"})
        show(f"Reader, {asked.items:,} made-up items x 384, one core", of_reader(store.uri, True))
    try:
        name = Reader.open().config.get("name")
    except UserError as error:
        Console().print(f"There is no published version, so the service is not measured: {error}", style="dim")
        return
    show(f"Reader, the published version ({name}), one core", of_reader(store_uri(), False))
    show(f"Service over it{'' if serving.WRK else ' (asked by our own client: wrk is not installed)'}",
         of_service(store_uri()))  # fmt: skip


if __name__ == "__main__":
    main()
