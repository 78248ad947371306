"""A rating head trained jointly with the transformer (multi-task), compared with none, on validation. Prints two
tables.

    python -m benchmarks.models.joint_ratings                          # after a run, or after its stages up to embed
    python -m benchmarks.models.joint_ratings --weights 0.1 1 --epochs 3

NDCG@10 is that of the transformer's own lists. RMSE is that of the ratings in the gate fold's validation by users with
training events: by biases, by biases and factors with params.yaml's best setting (the published rating model), and by
biases and the transformer's head. Differences are paired with the first row, with 95% intervals over users. The head is
worthwhile where NDCG@10 improves, or does not get worse while the RMSE is below that of the factors. Seconds are CPU
time; the test split is not read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.models.ablation import scores, transformer_config, validation_vectors
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.validation import fold_task, gate_fold
from nightreel.models.catalogue import catalogue_of
from nightreel.models.factorization.rating_model import Rated, RatingConfig, RatingModel
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.loss import BIAS
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.training.rating_selection import choose
from nightreel.settings.finetune import Finetune
from nightreel.settings.params_file import load


def ratings(data: Dataset, fold: str) -> tuple[Rated, Rated]:
    """The fold's training ratings, and validation's by users that have some there."""
    known, asked = (Rated.of(*data.ratings(fold, (part,))) for part in ("train", "valid"))
    found = np.flatnonzero(np.bincount(known.users, minlength=data.n_users)[asked.users] > 0)
    return known, Rated(asked.users[found], asked.items[found], asked.values[found])


def floors(data: Dataset, known: Rated, asked: Rated, settings: Finetune) -> tuple[RatingModel, dict[str, FloatArray]]:
    """The biases, and squared errors [n] without the transformer."""
    size, plain = (data.n_users, data.n_items), RatingConfig(bias=BIAS, factors=0, regularization=1.0, iterations=1)
    biases = RatingModel.fit(known, *size, RatingConfig.model_validate(plain))
    best, _ = choose(known, asked, *size, settings.ratings)
    factors = RatingModel.fit(known, *size, RatingConfig.model_validate(best))
    told = {"biases": biases, "biases and factors": factors}
    return biases, {n: (m.predict(asked.users, asked.items) - asked.values) ** 2 for n, m in told.items()}


def paired(own: FloatArray, first: FloatArray) -> str:
    """The mean difference with its interval."""
    found = mean_interval(own - first, 2000, np.random.default_rng(0))
    return f"{found.point:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def of_users(values: FloatArray, users: IntArray) -> FloatArray:
    """The mean of each user's values."""
    _, at = np.unique(users, return_inverse=True)
    return np.asarray(np.bincount(at, values) / np.bincount(at))


def compare(data: Dataset, settings: Finetune, weights: list[float], epochs: float | None) -> tuple[Table, Table]:
    """A row a weight, and one for each way to foretell a rating."""
    fold, clock = gate_fold(data), data.clock == "time"
    task, (known, asked) = fold_task(data, fold, settings), ratings(data, fold)
    catalogue = catalogue_of(data.items, validation_vectors())
    base = transformer_config(settings, len(task.train.items))
    base = base.model_copy(update={"epochs": epochs}) if epochs else base
    biases, errors = floors(data, known, asked, settings)
    lists = Table("rating weight", "NDCG@10", "less weight 0 [95%]", "fit s", title=f"{len(task.valid):,} positions")
    first: FloatArray | None = None
    for weight in [0.0, *weights]:
        began = time.process_time()
        member = Transformer.fit(
            task.train,
            catalogue,
            TransformerConfig.model_validate(base.model_copy(update={"rating_weight": weight})),
            clock=clock,
        )
        spent, own = time.process_time() - began, scores(member, task.valid, data.exclude_seen)
        first = own if first is None else first
        lists.add_row(f"{weight:g}", f"{own.mean():.4f}", paired(own, first), f"{spent:.1f}")
        if weight:
            rest = member.rating_residuals(task.train, asked.users, asked.items)
            told = np.clip(biases.predict(asked.users, asked.items) + rest, biases.scale[1], biases.scale[2])
            errors[f"biases and the head, weight {weight:g}"] = (told - asked.values) ** 2
        print(f"weight {weight:g}: NDCG@10 {own.mean():.4f}, {spent:.1f} s", flush=True)
    return lists, errors_table(errors, asked)


def errors_table(errors: Mapping[str, FloatArray], asked: Rated) -> Table:
    """RMSE of each way, and its mean squared error less the biases'."""
    table = Table("predicted by", "RMSE", "squared error less the biases' [95%]", title=f"{len(asked):,} ratings")
    floor = of_users(errors["biases"], asked.users)
    for name, squared in errors.items():
        table.add_row(name, f"{np.sqrt(squared.mean()):.4f}", paired(of_users(squared, asked.users), floor))
    return table


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", type=float, default=[0.1, 0.3, 1.0])
    parser.add_argument("--epochs", type=float, help="training epochs (default: params.yaml's)")
    given = parser.parse_args()
    for table in compare(load_dataset(), load().finetune, given.weights, given.epochs):
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
