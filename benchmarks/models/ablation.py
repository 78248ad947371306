"""Ablation of the transformer on validation: sampling, augmentation and a pretrained backbone, one change at a time.

    python -m benchmarks.models.ablation                               # after a run, or after its stages up to embed
    python -m benchmarks.models.ablation --vary mask=0.1 row_windows=1
    python -m benchmarks.models.ablation --vary epochs=2 --backbone all-MiniLM-L6-v2:2 FILE.gguf:1 --epochs 2

With `--backbone`, a checkpoint (a name, hub id, folder or GGUF file; `:2` uses its first two layers) replaces the
transformer's own layers, with the adapters of params.yaml; `--epochs` sets its training epochs.
Each variant is params.yaml's first setting of the transformer with one parameter changed. All are trained on the gate
fold's train part with the same number of events, and score the same validation positions on their own. The test split
is not read. Seconds are CPU time. A variant that improves the score can be added to the list in params.yaml, where
finetune compares it on validation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from nightreel.data.dataset import load_dataset
from nightreel.data.histories import FloatArray
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.validation import fold_task, gate_fold, ndcg
from nightreel.models.base import Catalogue
from nightreel.models.catalogue import catalogue_of
from nightreel.models.engine import top_k_lists, unseen
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.registry import spec
from nightreel.models.training.training_positions import Positions
from nightreel.settings.backbone import Backbone
from nightreel.settings.finetune import Finetune
from nightreel.settings.params_file import load
from nightreel.understanding.llm.gguf import folder_of

VARIANTS = ("mask=0.1", "mask=0.3", "row_windows=1", "row_windows=2", "dropout=0")
BLOCK = 1024  # histories scored at once


def validation_vectors() -> npt.NDArray[np.float32]:
    """Content vectors as finetune left them; the encoder's own where it has not run."""
    fitted = Path("data/finetune/vectors.npy")
    found: npt.NDArray[np.float32] = np.load(
        fitted if fitted.exists() else Path("data/embed/vectors.npy"), allow_pickle=False
    )
    return found


def scores(member: Transformer, valid: Positions, exclude_seen: bool) -> FloatArray:
    """[n] NDCG@10 of the member's own lists."""
    found = []
    for start in range(0, len(valid), BLOCK):
        part = valid.take(np.arange(start, min(start + BLOCK, len(valid))))
        told = np.array(member.score(part.histories, part.moments))
        lists, _ = top_k_lists(unseen(told, part.histories if exclude_seen else None, None), 10)
        found.append(ndcg(lists, part.targets))
    return np.concatenate(found)


@dataclass(frozen=True)
class Variant:
    """What is tried."""

    name: str
    config: TransformerConfig


def transformer_config(settings: Finetune, events: int) -> TransformerConfig:
    """The first of the settings that params.yaml names for a training part of so many events."""
    return TransformerConfig.model_validate(
        spec("transformer").grid(settings.sized(events).members["transformer"])[0].hyper_params()
    )


def variants(named: list[str], base: TransformerConfig) -> Iterator[Variant]:
    """`as in params.yaml`, then a setting for each `name=value`."""
    yield Variant("as in params.yaml", base)
    for each in named:
        name, _, value = each.partition("=")
        if name not in TransformerConfig.hyper_fields():
            there = ", ".join(TransformerConfig.hyper_fields())
            raise SystemExit(f"--vary {each}: the transformer has no such parameter; it has {there}.")
        yield Variant(each, TransformerConfig(**(base.hyper_params() | {name: float(value)})))


def pretrained(named: list[str], base: TransformerConfig, adapters: Backbone) -> Iterator[Variant]:
    """One for each checkpoint, `MODEL` or `MODEL:LAYERS`."""
    for each in named:
        model, _, layers = each.rpartition(":") if each.rpartition(":")[2].isdigit() else (each, "", "0")
        folder = str(folder_of(Path(model))) if model.endswith(".gguf") else model
        own = adapters.model_copy(update={"model": folder, "layers": int(layers)})
        yield Variant(
            f"{Path(model).stem}, {layers if int(layers) else 'all'} layers, LoRA",
            base.model_copy(update={"backbone": own}),
        )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vary", nargs="*", metavar="NAME=VALUE", default=list(VARIANTS))
    parser.add_argument("--backbone", nargs="+", metavar="MODEL[:LAYERS]", default=[])
    parser.add_argument("--epochs", type=float, help="training epochs with a backbone (default: params.yaml's)")
    given = parser.parse_args()
    data, settings = load_dataset(), load().finetune
    task, clock = fold_task(data, gate_fold(data), settings), data.clock == "time"
    catalogue: Catalogue = catalogue_of(data.items, validation_vectors())
    base = transformer_config(settings, len(task.train.items))
    columns = "training", "NDCG@10", "less the first", "95% interval", "fit s", "answer s", "MB"
    table = Table(*columns, title=f"{len(task.valid):,} positions")
    first: FloatArray | None = None
    slower = base.model_copy(update={"epochs": given.epochs or base.epochs})
    for each in [*variants(given.vary, base), *pretrained(given.backbone, slower, settings.backbone)]:
        began = time.process_time()
        member = Transformer.fit(task.train, catalogue, each.config, clock=clock)
        learned = time.process_time()
        own = scores(member, task.valid, data.exclude_seen)
        spent = learned - began, time.process_time() - learned
        size = sum(array.nbytes for array in member.arrays().values()) / 1e6
        first = own if first is None else first
        pair = mean_interval(own - first, 2000, np.random.default_rng(0))
        row = (
            each.name, f"{own.mean():.4f}", f"{pair.point:+.4f}", f"{pair.low:+.4f} to {pair.high:+.4f}",
            *(f"{seconds:.1f}" for seconds in spent), f"{size:.1f}",
        )  # fmt: skip
        print("  ".join(row), flush=True)
        table.add_row(*row)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
