"""An item's sentiment as a feature of the ranker: its trees with and without it, on validation.

    python -m benchmarks.models.sentiment_features                     # after a run, on a catalogue with descriptions
    python -m benchmarks.models.sentiment_features --workspace DIR     # a run's folder elsewhere

The models are those of data/finetune/choices.json, except those that `--without` names (the transformer takes most of
the time). The trees are trained on earlier positions of the training split and rank validation. The score is computed
from the item's text, not from behaviour, so it is known at all times; without text it is NaN.

    score       the item's score: probability of a positive tone less that of a negative one
    from_mean   the same less the decayed mean over the user's history
"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.models.rating_features import show
from nightreel.data.arrow_columns import numbers
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import FloatArray, Histories
from nightreel.evaluation.validation import UNDERSTOOD, fold_task, gate_fold, ndcg
from nightreel.models.catalogue import catalogue_of
from nightreel.models.engine import Engine
from nightreel.models.ranker.blend import FUSION, Blend, best_of_rows
from nightreel.models.ranker.candidates import Candidates
from nightreel.models.ranker.features import mean_of_history
from nightreel.models.ranker.lightgbm_numpy import Trees
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.fold_task import Task
from nightreel.models.training.lambdamart import fit_lambdamart
from nightreel.models.training.selected_params import SelectedParams
from nightreel.models.training.training_examples import BLOCK, examples
from nightreel.models.training.training_positions import Positions
from nightreel.settings.params_file import Settings, load
from nightreel.stage import read_json

SETS = {"none": (), "score": ("score",), "score, from_mean": ("score", "from_mean")}
SEEDS = 3
"""Trees are learned that often: their sampling alone moves NDCG about as much as a weak feature does."""
PREFIX = "sentiment."


@dataclass(frozen=True, kw_only=True)
class TonedEngine(Engine):
    """An engine whose candidates have columns of the items' sentiment [n_items] too."""

    sentiment: npt.NDArray[np.float32]

    def candidates(
        self,
        histories: Histories,
        moments: FloatArray,
        exclude: Histories | None,
        hidden: Any = None,
        also: Any = None,
    ) -> tuple[Candidates, tuple[str, ...], npt.NDArray[np.float32]]:
        """As the engine's, with the columns of sentiment last."""
        whole = replace(self, blend=Blend(FUSION))  # a learned blend asks for its own columns alone
        found, columns, matrix = Engine.candidates(whole, histories, moments, exclude, hidden, also)
        score = self.sentiment[found.items]
        usual = mean_of_history(histories, self.sentiment[histories.items])
        added = {"score": score, "from_mean": score - usual[found.rows]}
        names = tuple(f"{PREFIX}{name}" for name in added)
        return found, columns + names, np.column_stack([matrix, *added.values()])


@dataclass(frozen=True)
class Ranked:
    """Blocks of validation's positions: their candidates and all features; NDCG@10 of what trees make of them."""

    blocks: list[tuple[Candidates, npt.NDArray[np.float32], int]]
    targets: Histories

    @classmethod
    def of(cls, engine: Engine, positions: Positions, exclude_seen: bool) -> Ranked:
        """Every position's candidates, as the engine ranks them."""
        blocks = []
        for start in range(0, len(positions), BLOCK):
            part = positions.take(np.arange(start, min(start + BLOCK, len(positions))))
            exclude = part.histories if exclude_seen else None
            found, _, matrix = engine.candidates(part.histories, part.moments, exclude)
            blocks.append((found, matrix, len(part)))
        return cls(blocks, positions.targets)

    def ndcg(self, text: str, at: npt.NDArray[np.int64]) -> FloatArray:
        """[n] of trees that were learned on the columns `at`."""
        trees = Trees.read(text)
        lists = [best_of_rows(found, trees.predict(matrix[:, at]), n, 10)[0] for found, matrix, n in self.blocks]
        return ndcg(np.concatenate(lists), self.targets)


def sentiment_of(data: Dataset) -> npt.NDArray[np.float32]:
    """[n_items] scores in the catalogue's order, NaN where there is none."""
    table = pq.read_table(UNDERSTOOD, columns=["item_id", "sentiment_score"])
    if table["item_id"].to_pylist() != data.items["item_id"].to_pylist():
        raise SystemExit(f"{UNDERSTOOD} is of another catalogue: run the stages again.")
    scores = numbers(table["sentiment_score"], np.nan).astype(np.float32)
    known = int((~np.isnan(scores)).sum())
    if not known:
        raise SystemExit("No item has a sentiment: this needs descriptions or transcripts in English.")
    print(f"sentiment of {known:,} of {len(scores):,} items", flush=True)
    return scores


def engines_of(data: Dataset, task: Task, choices: SelectedParams) -> list[TonedEngine]:
    """Engines of the fold's inner and its whole training split."""
    catalogue = catalogue_of(data.items, np.load("data/finetune/vectors.npy", allow_pickle=False))
    sentiment, found = sentiment_of(data), []
    for train in (task.inner, task.train):
        engine = fit_engine(train, catalogue, choices, clock=data.clock == "time")
        parts = {field.name: getattr(engine, field.name) for field in fields(engine)}
        found.append(TonedEngine(**parts, sentiment=sentiment))
    return found


def compare(
    data: Dataset, fold: str, choices: SelectedParams, settings: Settings, threads: int
) -> dict[str, FloatArray]:
    """Set of features → [n] NDCG@10 of validation's positions, at its best number of trees, mean of SEEDS."""
    own, trees = settings.finetune, settings.finetune.trees
    task = fold_task(data, fold, own)
    inner, outer = engines_of(data, task, choices)
    lesson = examples(inner, task.earlier, data.exclude_seen, own.negatives, np.random.default_rng(own.seed))
    ranked, found = Ranked.of(outer, task.valid, data.exclude_seen), {}
    for name, added in SETS.items():
        wanted = {f"{PREFIX}{each}" for each in added}
        at = np.flatnonzero([not n.startswith(PREFIX) or n in wanted for n in lesson.columns])
        seen = replace(lesson, columns=tuple(lesson.columns[n] for n in at), matrix=lesson.matrix[:, at])
        each = []
        for seed in range(own.seed, own.seed + SEEDS):
            tried = [
                ranked.ndcg(text, at) for text in fit_lambdamart(seen, trees.num_trees, trees, seed, threads).values()
            ]
            each.append(max(tried, key=lambda values: float(values.mean())))
        found[name] = np.mean(each, axis=0)
        print(f"{name}: {found[name].mean():.4f}", flush=True)
    return found


def run(fold: str, without: list[str]) -> None:
    """Compare and print, in the working folder."""
    data, settings = load_dataset(), load()
    fold, choices = fold or gate_fold(data), SelectedParams.read(Path("data/finetune"))
    members = {name: hyper for name, hyper in choices.members.items() if name not in without}
    threads = int(read_json(Path("data/snapshot/environment.json"))["threads"])
    found = compare(data, fold, choices.model_copy(update={"members": members}), settings, threads)
    show(fold, found)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path(), help="a run's folder (default: this one)")
    parser.add_argument("--fold", default="", help="default: the gate's")
    parser.add_argument("--without", nargs="*", default=["transformer"])
    given = parser.parse_args()
    with contextlib.chdir(given.workspace):
        run(given.fold, given.without)


if __name__ == "__main__":
    main()
