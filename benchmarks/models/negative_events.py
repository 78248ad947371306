"""What users turned down, for the ranker: NDCG@10 on validation with and without it.

    python -m benchmarks.models.negative_events                                 # after the stages up to embed
    python -m benchmarks.models.negative_events --workspace DIR --positions 1500

Models have the first of the settings in params.yaml that they are tried with, except those that `--without` names (the
transformer takes most of the time), and base vectors of content. Rankers are trained on each cut in time and score the
next one, as a night does.

    columns         the columns turned_down.… as features, as the night has them
    and examples    also, candidates that the user met and turned down in the held-out period are always examples
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nightreel.data.dataset import Dataset, load_dataset
from nightreel.data.histories import FloatArray, Histories
from nightreel.evaluation.validation import fold_task, gate_fold, judge_of
from nightreel.models.catalogue import catalogue_of
from nightreel.models.engine import Engine
from nightreel.models.registry import spec
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.fold_task import Task, limited
from nightreel.models.training.model_selection import initial_params
from nightreel.models.training.one_standard_error import difference
from nightreel.models.training.ranker_selection import fit_rankers
from nightreel.models.training.training_examples import Examples, Validator, answers, retrieved, validated
from nightreel.models.training.training_positions import Positions
from nightreel.settings.finetune import Finetune
from nightreel.settings.params_file import load

ARMS = ("without", "columns", "and examples")


def met_next(data: Dataset, fold: str, task: Task) -> list[Histories]:
    """For each cut's positions, what their users turned down from there to the next cut."""
    negatives = data.negatives(fold, ("train", "valid"))
    starts = [float(cut.positions.moments.min()) for cut in task.time_cuts]
    return [
        negatives.where((negatives.times >= start) & (negatives.times < end)).take(cut.positions.users)
        for (start, end), cut in zip(pairwise([*starts, np.inf]), task.time_cuts, strict=True)
    ]


def examples_of(
    engine: Engine, positions: Positions, refused: Histories | None, judge: Validator, settings: Finetune
) -> Examples:
    """As training_examples.examples; refused: candidates that are always among the sampled ones."""
    rng, parts, start = np.random.default_rng(settings.seed), [], 0
    for part, (found, names, matrix) in retrieved(engine, positions, judge.exclude_seen):
        label = answers(found, part.targets, engine.n_items)
        first = np.zeros(len(label), bool)
        if refused is not None:
            first = answers(found, refused.take(np.arange(start, start + len(part))), engine.n_items)
        start += len(part)
        order = np.lexsort((rng.random(len(label)), ~first, label, found.rows))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - np.searchsorted(found.rows, found.rows)
        answered = np.bincount(found.rows, label, minlength=len(part)) > 0
        kept = answered[found.rows] & (label | (place < settings.negatives))
        sizes = np.bincount(found.rows[kept], minlength=len(part))[answered]
        parts.append(Examples(names, matrix[kept], label[kept].astype(np.int8), sizes, part.users[answered]))
    columns = ("matrix", "labels", "sizes", "users")
    return Examples(parts[0].columns, *(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def ndcg_of(
    engines: Sequence[Engine], task: Task, refused: Sequence[Histories | None], judge: Validator, settings: Finetune
) -> dict[str, FloatArray]:
    """NDCG@10 of each ranker at the positions of all cuts but the first."""
    known: list[Examples] = []
    found: dict[str, list[FloatArray]] = {}
    for engine, cut, own in zip(engines, task.time_cuts, refused, strict=True):
        if known:
            rankers = fit_rankers(known, tuple(sorted(engine.members)), settings, judge.threads)
            scores = validated(engine, cut.positions, judge.exclude_seen, rankers, judge.quality)
            for name, values in scores.items():
                found.setdefault(name, []).append(values)
        known.append(examples_of(engine, cut.positions, own, judge, settings))
    whole = len(engines) - 1
    return {name: np.concatenate(parts) for name, parts in found.items() if len(parts) == whole}


def run(positions: int, without: Sequence[str]) -> None:
    """Compare and print, in the working folder."""
    data, settings = load_dataset(), load().finetune
    fold, judge = gate_fold(data), judge_of(data)
    if data.positives(fold, ("train",)).negatives is None:
        raise SystemExit("This log has no negative events: there is nothing to compare.")
    task = limited(fold_task(data, fold, settings), positions, 1, np.random.default_rng(settings.seed))
    catalogue = catalogue_of(data.items, np.load("data/embed/vectors.npy", allow_pickle=False))
    members = {
        name: spec(name).grid(own)[0].hyper_params() for name, own in settings.members.items() if name not in without
    }
    base = initial_params(settings, "base", "data_until").model_copy(update={"members": members})
    engines = [fit_engine(cut.known, catalogue, base, clock=judge.clock) for cut in task.time_cuts]
    blind = [replace(engine, statistics=replace(engine.statistics, negatives=None)) for engine in engines]
    nothing = [None] * len(engines)
    found = {
        "without": ndcg_of(blind, task, nothing, judge, settings),
        "columns": ndcg_of(engines, task, nothing, judge, settings),
        "and examples": ndcg_of(engines, task, met_next(data, fold, task), judge, settings),
    }
    users = np.concatenate([cut.positions.users for cut in task.time_cuts[1:]])
    table = Table("ranker", *ARMS, title=f"NDCG@10 on {len(users):,} positions of {fold}; ± standard error")
    for name, plain in found["without"].items():
        cells = [f"{plain.mean():.4f}"]
        for arm in ARMS[1:]:
            gap, error = difference(users, found[arm][name], plain)
            cells.append(f"{found[arm][name].mean():.4f} ({gap:+.4f} ± {error:.4f})")
        table.add_row(name, *cells)
    Console().print(table)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path(), help="a run's folder (default: this one)")
    parser.add_argument("--positions", type=int, default=1500, help="at most, for each cut")
    parser.add_argument("--without", nargs="*", default=["transformer"])
    asked = parser.parse_args()
    with contextlib.chdir(asked.workspace):
        run(asked.positions, asked.without)


if __name__ == "__main__":
    main()
