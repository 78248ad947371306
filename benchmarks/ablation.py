"""What sampling and augmentation of the training split do for the transformer, one change at a time, on validation.

    python -m benchmarks.ablation                               # after a run: data/validate and data/finetune
    python -m benchmarks.ablation --vary mask=0.1 row_windows=1

Each variant is params.yaml's first setting of the transformer with one parameter changed, trained on the gate fold's
train part for the same number of events answered, and asked alone about the same validation positions. The test split
is not read. A variant that pays belongs into the list in params.yaml, where finetune tries it on validation.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tasks.data.dataset import load_dataset
from tasks.data.histories import FloatArray
from tasks.evaluation.intervals import mean_interval
from tasks.finetune import fold_task, gate_fold, ndcg
from tasks.models.catalogue import catalogue_of
from tasks.models.engine import listed, unseen
from tasks.models.positions import Positions
from tasks.models.protocol import Catalogue, Hyper
from tasks.models.transformer import Transformer
from tasks.settings import load

VARIANTS = ("mask=0.1", "mask=0.3", "row_windows=1", "row_windows=2", "dropout=0")
BLOCK = 1024  # histories scored at once


def scores(member: Transformer, valid: Positions, exclude_seen: bool) -> FloatArray:
    """[n] NDCG@10 of the member's own lists."""
    found = []
    for start in range(0, len(valid), BLOCK):
        part = valid.take(np.arange(start, min(start + BLOCK, len(valid))))
        told = np.array(member.score(part.histories, part.moments))
        lists, _ = listed(unseen(told, part.histories if exclude_seen else None, None), 10)
        found.append(ndcg(lists, part.targets))
    return np.concatenate(found)


def variants(named: list[str], base: Hyper) -> dict[str, Hyper]:
    """`as in params.yaml`, then a setting for each `name=value`."""
    found: dict[str, Hyper] = {"as in params.yaml": base}
    for each in named:
        name, _, value = each.partition("=")
        if name not in base:
            raise SystemExit(f"--vary {each}: the transformer has no such parameter; it has {', '.join(base)}.")
        found[each] = {**base, name: float(value)}
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vary", nargs="+", metavar="NAME=VALUE", default=list(VARIANTS))
    given = parser.parse_args()
    data, settings = load_dataset(), load().finetune
    task, clock = fold_task(data, gate_fold(data), 1), data.clock == "time"
    catalogue: Catalogue = catalogue_of(data.items, np.load(Path("data/finetune/vectors.npy"), allow_pickle=False))
    base = {name: float(values[0]) for name, values in settings.members["transformer"].items()}
    table = Table(
        "training", "NDCG@10", "less the first", "95% interval", "fit s", title=f"{len(task.valid):,} positions"
    )
    first: FloatArray | None = None
    for name, hyper in variants(given.vary, base).items():
        began = time.monotonic()
        member = Transformer.fit(task.train, catalogue, hyper, clock=clock)
        spent = time.monotonic() - began
        own = scores(member, task.valid, data.exclude_seen)
        first = own if first is None else first
        pair = mean_interval(own - first, 2000, np.random.default_rng(0))
        row = (name, f"{own.mean():.4f}", f"{pair.point:+.4f}", f"{pair.low:+.4f} to {pair.high:+.4f}", f"{spent:.1f}")
        print("  ".join(row), flush=True)
        table.add_row(*row)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
