"""Predicted ratings as features of the ranker: its trees with and without them, on validation.

    python -m benchmarks.models.rating_features                          # after a run, on data with ratings
    python -m benchmarks.models.rating_features --fold global_time

The models are those of data/finetune/choices.json, except those that `--without` names (the transformer takes most of
the time). The trees are trained on earlier positions of the training split and rank validation. Features are as of the
position's time: the rating model is fitted to the same events as the models, and a user's part to the history alone.

    item        how far the item's mean rating is above the overall mean
    taste       the contribution of the user's factors
    predicted   the predicted rating: mean, user, item and taste together
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import FloatArray, Histories
from nightreel.evaluation.metrics.bootstrap import mean_interval
from nightreel.evaluation.validation import fold_task, gate_fold, ndcg
from nightreel.models.catalogue import catalogue_of
from nightreel.models.engine import Engine
from nightreel.models.factorization.rating_model import Rated, RatingConfig, RatingModel, ridge_rows
from nightreel.models.ranker.blend import FUSION, TREES, Blend
from nightreel.models.ranker.candidates import Candidates
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.lambdamart import fit_lambdamart
from nightreel.models.training.selected_params import SelectedParams
from nightreel.models.training.training_examples import examples
from nightreel.settings.params_file import Settings, load
from nightreel.stage import read_json

SETS = {"none": (), "item": ("item",), "item, taste": ("item", "taste"), "predicted": ("predicted",)}
Value = Callable[[Histories], FloatArray]
"""[nnz] the rating that each event of a history gave."""


@dataclass(frozen=True, kw_only=True)
class RatedEngine(Engine):
    """An engine whose candidates have columns of the rating head too."""

    head: RatingModel
    value: Value
    added: tuple[str, ...]

    def candidates(
        self,
        histories: Histories,
        moments: FloatArray,
        exclude: Histories | None,
        hidden: Any = None,
        also: Any = None,
    ) -> tuple[Candidates, tuple[str, ...], npt.NDArray[np.float32]]:
        """As the engine's, with the columns `added`."""
        whole = replace(self, blend=Blend(FUSION))  # a learned blend asks for its own columns alone
        found, columns, matrix = Engine.candidates(whole, histories, moments, exclude, hidden, also)
        mean, _, _, bias_strength, strength = self.head.scale.tolist()
        item = self.head.item_bias[found.items].astype(np.float64)
        rest = self.value(histories) - mean - self.head.item_bias[histories.items]
        user = np.bincount(histories.rows, rest, len(histories)) / (histories.lengths + bias_strength)
        factors = self.head.item_factors.astype(np.float64)
        own = ridge_rows(
            histories.indptr, histories.items.astype(np.int64), rest - user[histories.rows], factors, strength
        )
        taste = np.einsum("pf,pf->p", own[found.rows], factors[found.items])
        told = {"item": item, "taste": taste, "predicted": mean + user[found.rows] + item + taste}
        more = [told[name].astype(np.float32) for name in self.added]
        return found, columns + tuple(f"rating.{name}" for name in self.added), np.column_stack([matrix, *more])


def values_of(data: Dataset) -> Value:
    """Looks ratings up by item and time, which no two events of these data share."""
    _, item, value, time = data.ratings(None)
    keys = time.astype(np.int64) * data.n_items + item
    order = np.argsort(keys, kind="stable")
    if not len(keys) or (np.diff(keys[order]) == 0).any() or len(keys) != len(data.positives(None).items):
        raise SystemExit("This needs data whose every positive is a rating, no two of an item at the same moment.")
    known, given = keys[order], value[order].astype(np.float64)

    def value_of(histories: Histories) -> FloatArray:
        asked = histories.times.astype(np.int64) * data.n_items + histories.items
        return np.asarray(given[np.searchsorted(known, asked)])

    return value_of


def compare(
    data: Dataset, fold: str, choices: SelectedParams, settings: Settings, threads: int
) -> dict[str, FloatArray]:
    """Set of features → [n] NDCG@10 of validation's positions, each at its best number of trees."""
    own, task, value = settings.finetune, fold_task(data, fold, settings.finetune), values_of(data)
    catalogue = catalogue_of(data.items, np.load("data/finetune/vectors.npy", allow_pickle=False))
    engines = []
    for train in (task.inner, task.train):
        engine = fit_engine(train, catalogue, choices, clock=data.clock == "time")
        known = Rated.of(train.rows, train.items, value(train))
        head = RatingModel.fit(known, data.n_users, data.n_items, RatingConfig.model_validate(choices.ratings))
        parts = {field.name: getattr(engine, field.name) for field in fields(engine)}
        engines.append(RatedEngine(**parts, head=head, value=value, added=()))
    valid, exclude = task.valid, task.valid.histories if data.exclude_seen else None
    found = {}
    for name, added in SETS.items():
        inner, outer = (replace(engine, added=added) for engine in engines)
        rng = np.random.default_rng(own.seed)
        lesson = examples(inner, task.earlier, data.exclude_seen, own.negatives, rng)
        tried = []
        for text in fit_lambdamart(lesson, own.trees.num_trees, own.trees, own.seed, threads).values():
            ranked = replace(outer, blend=Blend(TREES, lesson.columns, text))
            lists, _ = ranked.top_k(valid.histories, valid.moments, 10, exclude=exclude, hidden=None)
            tried.append(ndcg(lists, valid.targets))
        found[name] = max(tried, key=lambda values: float(values.mean()))
        print(f"{name}: {found[name].mean():.4f}", flush=True)
    return found


def show(fold: str, found: Mapping[str, FloatArray]) -> None:
    """A row a set of features: its mean, and the paired difference from `none`. found: [n] NDCG@10 of each."""
    table = Table(
        "features added", "NDCG@10", "difference to none", "95% interval", title=f"{fold}: the ranker on validation"
    )
    for name, values in found.items():
        pair = mean_interval(values - found["none"], 2000, np.random.default_rng(0))
        table.add_row(name, f"{values.mean():.4f}", f"{pair.point:+.4f}", f"{pair.low:+.4f} to {pair.high:+.4f}")
    Console(width=100).print(table)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fold", default="", help="default: the gate's")
    parser.add_argument("--without", nargs="*", default=["transformer"])
    given = parser.parse_args()
    data, settings = load_dataset(), load()
    fold, choices = given.fold or gate_fold(data), SelectedParams.read(Path("data/finetune"))
    if not choices.ratings:
        raise SystemExit("data/finetune has no rating head: the data hold too few ratings.")
    members = {name: hyper for name, hyper in choices.members.items() if name not in given.without}
    threads = int(read_json(Path("data/snapshot/environment.json"))["threads"])
    found = compare(data, fold, choices.model_copy(update={"members": members}), settings, threads)
    show(fold, found)


if __name__ == "__main__":
    main()
