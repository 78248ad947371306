"""finetune: train the encoder and all models, select on validation, refit on both, and write candidate bundles."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from nightreel.bundle.assembly import LEARNED, bundle_config, rehearse
from nightreel.content.training.kept_encoder import KeptContent
from nightreel.data.dataset import load_dataset, with_profiles
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.evaluation.earlier_night import GoingOn, begins_after_published, tonights_content
from nightreel.evaluation.validation import LEAVE_LAST_OUT, fold_task, gate_fold, judge_of
from nightreel.models.base import Recommender
from nightreel.models.catalogue import catalogue_of
from nightreel.models.config import ModelConfig
from nightreel.models.newcomers.selection import with_newcomers
from nightreel.models.registry import require_known
from nightreel.models.training.going_on.warm_start import started
from nightreel.models.training.heads import outcome_examples
from nightreel.models.training.model_selection import Trial, initial_params, select_models
from nightreel.models.training.parallel_fit import ParallelFit
from nightreel.models.training.rating_selection import with_ratings
from nightreel.models.training.training_examples import save
from nightreel.settings.params_file import load
from nightreel.stage import (
    log_progress,
    peak_memory,
    progress_of,
    stage_main,
    staged_output,
    write_json,
    write_rows,
)

OUT, WARM = Path("data/finetune"), Path("data/snapshot/warm")
MOST_AT_ONCE, WORTH_A_PROCESS = 4, 20_000  # folds, because of memory; events: starting a process takes five seconds


@dataclass(frozen=True)
class FoldSummary:
    """Results of a fold besides its bundle. memory: peak bytes of its process; beside: of its workers."""

    scores: dict[str, float]
    curve: list[dict[str, float]]
    trials: list[Trial]
    ratings: list[Trial]
    heads: list[Trial]
    memory: float
    beside: float


def train_fold(fold: str, encoder: str, out: Path, workers: int) -> FoldSummary:
    """Select models and ranker on a fold's validation part; write its candidate bundle and warm-start state. Reads its
    inputs from disk, so that it can run in a separate process, and its log lines name the fold. workers: for
    `ParallelFit`."""
    settings, data = load(), with_profiles(load_dataset())
    base = initial_params(settings.finetune, encoder, "last_event" if fold == LEAVE_LAST_OUT else "data_until")
    task, vectors = fold_task(data, fold, settings.finetune), np.load(out / "vectors.npy", allow_pickle=False)
    catalogue, known, judge = catalogue_of(data.items, vectors), data.positives(fold, LEARNED), judge_of(data)
    content = KeptContent.read(out / "warm")
    kept = content is not None and content.nights > 0
    going = GoingOn.find(WARM, fold, data, task, catalogue, encoder, kept=kept)
    chain = [*(cut.known for cut in going.cuts), known]
    with progress_of(fold), ParallelFit(workers, catalogue, chain, clock=data.clock == "time") as ahead:
        log_progress("selecting hyper-parameters on validation")
        begin = partial(ahead.begin, then=partial(started, going.state) if going.warm else lambda _: None)
        learned = select_models(task, catalogue, settings.finetune, base, judge, begin, ahead.ready, going.selection)
        going.keep(out / "warm" / fold, known, learned, settings.finetune)
        learned = with_ratings(learned, data, fold, settings.finetune.ratings)
        learned = with_newcomers(learned, data, catalogue, fold, judge)
        protocol, shipped = next(name for name, of in data.protocols.items() if fold in of), fold == gate_fold(data)
        folder = out / ("candidate" if shipped else f"candidates/{fold}")
        config = bundle_config(protocol, data, settings)
        log_progress("training the models on the validation events, too, and writing the candidate")

        def ready(name: str, train: Histories, config: ModelConfig) -> Recommender | None:
            return going.models.ready(name, train, config) or ahead.ready(name, train, config)

        rehearse(data, fold, learned.choices, vectors, config, folder, start=learned.engine, ready=ready)
    if shipped:
        learned.choices.write(out)
        save(learned.examples, out / "examples")
        if learned.outcomes is not None:
            outcome_examples.save(learned.outcomes, out / "outcomes")
        # What came since the published version is learned from as a whole.
        size = None if fold != LEAVE_LAST_OUT and begins_after_published(data, WARM) else task.size
        write_json(out / "steps.json", learned.steps.figures() | {"size": size})
    return FoldSummary(
        learned.scores, learned.curve, learned.trials, learned.ratings, learned.heads, peak_memory(), ahead.memory
    )


def fit_vectors(out: Path) -> tuple[str, float]:
    """Train and save the content vectors; returns their kind (`base`, `finetuned`, `fused`) and peak memory."""
    base = np.load("data/embed/vectors.npy", allow_pickle=False)
    content = tonights_content(load_dataset(), load(), base, WARM, out)
    np.save(out / "vectors.npy", content.vectors, allow_pickle=False)
    write_rows(out / "plots" / "encoder.csv", content.encoder_losses)
    write_rows(out / "plots" / "fusion.csv", content.fusion_losses)
    return content.fitted, peak_memory()


def train(folds: Sequence[str], out: Path, workers: int) -> tuple[dict[str, FoldSummary], float]:
    """Train the content vectors, then every fold, in this process; also returns the peak memory of workers."""
    encoder, _ = fit_vectors(out)
    summaries = {fold: train_fold(fold, encoder, out, workers) for fold in folds}
    return summaries, max(summary.beside for summary in summaries.values())


def train_apart(folds: Sequence[str], out: Path, at_once: int, workers: int) -> tuple[dict[str, FoldSummary], float]:
    """Like `train`, with the folds in parallel processes, which release their memory when they end; spawned, because
    forking a process whose BLAS has threads may hang. Raises UserError where one was killed."""
    with ProcessPoolExecutor(at_once, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        try:
            encoder, peak = pool.submit(fit_vectors, out).result()
            results = pool.map(partial(train_fold, encoder=encoder, out=out, workers=workers), folds)
            summaries = dict(zip(folds, results, strict=True))
        except BrokenProcessPool:
            raise UserError(
                "finetune: a training process was killed, most likely because memory ran out. Free some memory, or "
                "list fewer models in finetune.members."
            ) from None
    return summaries, max(peak, sum(sorted(one.memory + one.beside for one in summaries.values())[-at_once:]))


def main() -> float:
    """Train on the outputs of validate and embed, and write data/finetune; returns the bytes of other processes."""
    settings, data = load(), load_dataset()
    require_known(settings.finetune.members)
    require_known(settings.finetune.with_many, "finetune.with_many")
    if settings.finetune.backbone.model and "transformer" in settings.finetune.members:
        from nightreel.models.neural.transformer.checkpoint import opened

        opened(settings.finetune.backbone)  # an unusable checkpoint is reported before any training
    folds = list(data.folds)
    threads = judge_of(data).threads if data.events.num_rows >= WORTH_A_PROCESS else 1
    at_once = min(threads, len(folds), MOST_AT_ONCE)
    workers = threads // at_once - 1
    with staged_output(OUT) as out:
        summaries, beside = train_apart(folds, out, at_once, workers) if at_once > 1 else train(folds, out, workers)
        scores = [{"fold": f, "model": m, "ndcg@10": s} for f, one in summaries.items() for m, s in one.scores.items()]
        write_rows(out / "plots" / "validation.csv", scores)
        for name in ("curve", "trials", "ratings", "heads"):
            rows = [{"fold": fold, **row} for fold, one in summaries.items() for row in getattr(one, name)]
            write_rows(out / "plots" / f"{name}.csv", rows)
    write_json(Path("metrics/finetune.json"), {fold: one.scores for fold, one in summaries.items()})
    return beside


if __name__ == "__main__":
    stage_main(main)
