"""A complete night on videos, music and podcasts in three languages, some with media files, some of them broken.

    python -m benchmarks.models.mixed_catalogue                  # some minutes
    python -m benchmarks.models.mixed_catalogue --keep FOLDER    # keeps data, state and report pages there

Catalogue, media and behaviour are synthetic (see benchmarks/models/mixed_world.py). The night is `nightreel run --data`
in a fresh clone of HEAD, with the multilingual encoder. Prints which fields were derived for which items and why not
for others, NDCG@10 of known and of new items and across media types, and the cost of each stage.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.models.mixed_world import LANGUAGES, MEDIA, write
from benchmarks.speed.nightly import BIN, ROOT, measure
from nightreel.content.encoders.model_source import UNIVERSAL
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.evaluation.metrics.bootstrap import Interval, mean_interval

MODELS = ("blend", "content_knn", "popularity")
FIELDS = {"language": "language", "keywords": "keywords", "summary": "summary", "tags": "tags",
          "transcript": "transcript", "pictures": "key frames", "sound": "sound"}  # fmt: skip
REPLICATES = 2000
Row = dict[str, Any]


def night(folder: Path, data: Path) -> Path:
    """Run; returns the folder of the run's worktree."""
    clone, state = folder / "clone", folder / "state"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    environment = os.environ | {
        "NIGHTREEL_STATE": str(state), "PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(clone),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120", "PATH": f"{BIN}:{os.environ['PATH']}",
    }  # fmt: skip
    changes = [f"embed.encoder={UNIVERSAL}", "understand.tags.least_items=15", "validate.gate_users=100"]
    words = [word for change in changes for word in ("--set", change)]
    code = "from nightreel.cli.main import main; main()"
    measure([sys.executable, "-c", code, "run", "--data", str(data), *words], clone, environment)
    return max(path for path in (state / "runs").iterdir() if path.name != "last")


def show_items(data: Path, console: Console) -> None:
    """Items by language and by medium: how many have a description, a file, and each derived field."""
    items = pq.read_table(data / "validate" / "items.parquet").to_pylist()
    derived = pq.read_table(data / "understand" / "items.parquet", columns=["language"]).to_pylist()
    notes = pq.read_table(data / "understand" / "provenance.parquet").to_pylist()
    there = {(note["item_id"], note["field"]) for note in notes if note["skipped"] is None}
    table = Table("items", "all", "described", "with a file", *FIELDS.values(), title="Derived fields")

    def row(name: str, some: list[Row]) -> None:
        told = [sum(bool(item[column]) for item in some) for column in ("description", "media_uri")]
        found = [sum((item["item_id"], field) in there for item in some) for field in FIELDS]
        table.add_row(name, *(f"{count:,}" for count in (len(some), *told, *found)))

    known = [item["language"] or own["language"] or "not known" for item, own in zip(items, derived, strict=True)]
    for language in (*LANGUAGES, *sorted(set(known) - set(LANGUAGES))):
        row(language, [item for item, own in zip(items, known, strict=True) if own == language])
    table.add_section()
    for medium in MEDIA:
        row(medium, [item for item in items if item["media_type"] == medium])
    table.add_section()
    row("all", items)
    console.print(table)
    # A figure of the one item, in brackets, is no reason of its own.
    cut = [(note["field"], re.sub(r" \([^()]*\d[^()]*\)$", "", note["skipped"])) for note in notes if note["skipped"]]
    reasons = Counter(cut)
    table = Table("missing field", "reason", "items", title="Missing fields")
    for (field, reason), count in sorted(reasons.items(), key=lambda each: (each[0][0], -each[1])):
        table.add_row(FIELDS.get(field, field), reason, f"{count:,}")
    console.print(table)


def show_quality(data: Path, console: Console) -> None:
    """NDCG@10 by whether what was wanted is new (no event in training), and the evaluation's own rows on newcomers."""
    dataset = load_dataset(data / "validate")
    scores = pq.read_table(data / "evaluate" / "scores.parquet", columns=["model", "fold", "user", "ndcg@10"])
    new = wants_new(dataset)
    rows: dict[tuple[str, bool], list[float]] = {}
    for row in scores.to_pylist():
        rows.setdefault((row["model"], (row["fold"], row["user"]) in new), []).append(row["ndcg@10"])
    table = Table("wanted items", "users", *MODELS, title=f"NDCG@10 [95%], {dataset.gate}, every item ranked")
    for kind, told in ((False, "known items alone"), (True, "at least one new item")):
        own = [rows.get((model, kind), []) for model in MODELS]
        table.add_row(told, f"{len(own[0]):,}", *map(shown, own))
    console.print(table)
    table = Table("segment", "model", "users", "NDCG@10 [95%]", title="Cold start, and across media types")
    for row in json.loads((data / "evaluate" / "cold_start.json").read_text("utf-8")):
        if not row["what"].startswith("user, ") or " from " in row["what"]:
            table.add_row(row["what"], row["model"], f"{row['users']:,}", interval(Interval(**row["ndcg"])))
    console.print(table)


def wants_new(dataset: Dataset) -> set[tuple[str, int]]:
    """(fold, user) whose test holds an item that no training or validation event names."""
    found = set()
    for fold in dataset.protocols[dataset.gate]:
        learned, test = dataset.positives(fold, ("train", "valid")), dataset.positives(fold, ("test",))
        unseen = np.bincount(learned.items, minlength=dataset.n_items) == 0
        found |= {(fold, int(user)) for user in np.unique(test.rows[unseen[test.items]])}
    return found


def shown(values: list[float]) -> str:
    """The mean with its interval."""
    if not values:
        return "–"
    return interval(mean_interval(np.array(values), REPLICATES, np.random.default_rng(0)))


def interval(figure: Interval) -> str:
    """`0.123 [0.110, 0.136]`."""
    return f"{figure.point:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def show_costs(state: Path, console: Console) -> None:
    """Seconds and peak memory of each stage."""
    table = Table("stage", "seconds", "peak MB", title="Cost of the night")
    for path in sorted((state / "notes").glob("*.cost.json"), key=lambda path: path.stat().st_mtime):
        cost = json.loads(path.read_text("utf-8"))
        table.add_row(path.name.split(".")[0], f"{cost['wall_seconds']:.1f}", f"{cost['peak_mb']:,.0f}")
    console.print(table)


def main() -> None:
    """Make, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--items", type=int, default=480)
    parser.add_argument("--media", type=int, default=120, help="items with a media file (default: 120)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for data, state and pages (default: a temporary one)")
    asked = parser.parse_args()
    console = Console(width=130)
    with tempfile.TemporaryDirectory(prefix="nightreel-mixed-") as scratch:
        folder = asked.keep.resolve() if asked.keep else Path(scratch)
        data = folder / "catalogue"
        if not data.exists():
            write(data, users=asked.users, items=asked.items, media=asked.media, seed=asked.seed)
        run = night(folder, data)
        show_items(run / "data", console)
        show_quality(run / "data", console)
        show_costs(folder / "state", console)
        if asked.keep:
            console.print(f"pages: {folder / 'state' / 'reports'}")


if __name__ == "__main__":
    main()
