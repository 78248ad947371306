"""Time and peak memory of understand and embed by catalogue size. Prints a table.

    python -m benchmarks.understanding.learning_curve                      # 1,000, 10,000 and 100,000 items
    python -m benchmarks.understanding.learning_curve --sizes 1000 5000
    python -m benchmarks.understanding.learning_curve --distinct 60        # less to encode: faster, similar peaks

Synthetic items with a title, a genre, a language and a description of about fifty words. Their texts are drawn from
--distinct ones, so that from that size on the encoder's work is constant: measured is the additional time and memory of
each item. Each stage is a separate process, with an empty cache and one thread. Seconds are CPU time. Tags are trained
on at most `understand.tags.most_items` items, block by block.
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
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.models.mixed_world import GENRES, WORDS
from benchmarks.speed.nightly import ROOT
from nightreel.data.contract.schema import COMMENTS_SCHEMA, ITEMS_SCHEMA

SIZES, STAGES, LABELS = (1_000, 10_000, 100_000), ("understand", "embed"), 4


def catalogue(n: int, distinct: int) -> pa.Table:
    """In validate's form."""
    rng = np.random.default_rng(0)
    texts = [_text(at % LABELS, rng) for at in range(distinct)]
    drawn = rng.integers(0, distinct, n).tolist()
    columns = {
        "item_id": [f"i{at:07d}" for at in range(n)], "title": [f"Film {at}" for at in drawn],
        "description": [texts[at] for at in drawn], "genres": [[GENRES[at % LABELS]] for at in drawn],
        "language": ["en"] * n, "blocked": [False] * n, "tags": [[]] * n, "creators": [[]] * n,
    }  # fmt: skip
    return pa.table([pa.array(columns.get(field.name, [None] * n), field.type) for field in ITEMS_SCHEMA], ITEMS_SCHEMA)


def _text(genre: int, rng: np.random.Generator) -> str:
    """Four sentences about a genre's things, written from the mixed catalogue's templates."""
    lines = []
    for _ in range(2):
        nouns = rng.permutation(WORDS["topics"][GENRES[genre]]["en"])[:3]
        slots = {**dict(zip("abc", nouns, strict=True)), "year": int(rng.integers(1950, 2026))}
        for name in ("middles", "closings"):
            lines.append(str(rng.choice(WORDS[name]["en"])).format(**slots))
        lines.append(str(rng.choice(WORDS["openings"]["en"]["video"])).format(**slots))
    return " ".join(lines)


def run(folder: Path, n: int, distinct: int) -> dict[str, tuple[float, float]]:
    """Stage → processor seconds and peak megabytes."""
    path = folder / "data/validate/items.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(catalogue(n, distinct), path, compression="zstd")
    pq.write_table(COMMENTS_SCHEMA.empty_table(), path.with_name("comments.parquet"))
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    state = folder / "state"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NIGHTREEL_STATE": str(state), "OMP_NUM_THREADS": "1"}
    found = {}
    for stage in STAGES:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", f"tasks.{stage}"], cwd=folder, env=environment, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cost = json.loads((state / "notes" / f"{stage}.cost.json").read_text("utf-8"))
        found[stage] = seconds, float(cost["peak_mb"])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--distinct", type=int, default=1_000, help="different texts (default: 1,000)")
    asked = parser.parse_args()
    table = Table("items", *(f"{stage}, {unit}" for stage in STAGES for unit in ("CPU s", "peak MB")))
    table.title = f"Understanding larger catalogues; {asked.distinct:,} different texts"
    for n in asked.sizes:
        with tempfile.TemporaryDirectory(prefix="nightreel-curve-") as scratch:
            costs = run(Path(scratch), n, asked.distinct)
        table.add_row(f"{n:,}", *(f"{figure:,.0f}" for stage in STAGES for figure in costs[stage]))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
