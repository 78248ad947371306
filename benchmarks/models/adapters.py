"""Fine-tuning the content encoder fully or with adapters (LoRA, AdaLoRA), compared on validation. Prints a table.

    python -m benchmarks.models.adapters                       # the sample
    python -m benchmarks.models.adapters --data DIR --rank 8

Each method fine-tunes the encoder with the settings of params.yaml except the learning rate, encodes all items, and is
scored as in finetune: NDCG@10 of content kNN on the gate's validation, with its best setting. Seconds are CPU time,
encoding included.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.models.warm import prepare
from nightreel.content.encoders.model_source import locate
from nightreel.content.encoders.transformer_files import EncoderNetwork
from nightreel.content.item_pairs import close_pairs
from nightreel.content.item_text import read_texts
from nightreel.content.training.contrastive import finetune_encoder
from nightreel.content.training.lora import fitted
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.evaluation.validation import ITEMS, UNDERSTOOD, Vectors, content_quality, ndcg
from nightreel.models.training.training_examples import Validator
from nightreel.settings.embed import Embed
from nightreel.settings.params_file import Settings, load

WAYS = {"full": (1e-4, 3e-4), "lora": (3e-4, 1e-3, 3e-3), "adalora": (1e-3, 3e-3, 1e-2)}


def changed(settings: Settings, **tune: object) -> Embed:
    """The encoder's settings with some of its fitting's changed."""
    return settings.embed.model_copy(update={"tune": settings.embed.tune.model_copy(update=tune)})


def trained(settings: Embed, steps: int) -> int:
    """How many numbers the optimiser changes."""
    weights = fitted(EncoderNetwork.open(locate(settings).folder).model, settings.tune, steps, 0).weights
    return sum(weight.numel() for weight in weights)


def vectors_of(data: Dataset, settings: Settings, embed: Embed) -> tuple[Vectors, float]:
    """Vectors of the fitted encoder, and the CPU seconds that they took."""
    began, known = time.process_time(), data.trained_everywhere()
    texts, tune = read_texts(ITEMS, UNDERSTOOD), settings.finetune
    popularity = np.bincount(known.items, minlength=data.n_items)
    tuned = finetune_encoder(
        embed, texts, close_pairs(known), popularity, steps=tune.encoder_steps, batch=tune.encoder_pairs, seed=tune.seed
    )
    return tuned.encode(texts), time.process_time() - began


def compare(rank: int) -> Table:
    """A row a way."""
    settings, data = load(), load_dataset()
    judge = Validator(ndcg, data.exclude_seen, data.clock == "time", 1)
    table = Table(
        "method", "learning rate", "weights trained", "NDCG@10", "CPU s", title="Fine-tuning the content encoder"
    )
    base = np.load("data/embed/vectors.npy")
    table.add_row("as it is", "", "0", f"{content_quality(data, base, settings, judge).mean:.4f}", "")
    for method, rates in WAYS.items():
        for rate in rates:
            embed = changed(settings, method=method, learning_rate=rate, rank=rank, alpha=2 * rank)
            vectors, seconds = vectors_of(data, settings, embed)
            quality = content_quality(data, vectors, settings, judge).mean
            count = trained(embed, settings.finetune.encoder_steps)
            table.add_row(method, f"{rate:g}", f"{count:,}", f"{quality:.4f}", f"{seconds:.0f}")
            print(f"{method} {rate:g}: {quality:.4f}", flush=True)
    return table


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", metavar="DIR", help="a folder with items.* and events.* (default: params.yaml's source)"
    )
    parser.add_argument("--rank", type=int, default=16)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightreel-adapters-") as folder:
        prepare(Path(folder), asked.data)
        with contextlib.chdir(folder):
            Console(width=100).print(compare(asked.rank))


if __name__ == "__main__":
    main()
