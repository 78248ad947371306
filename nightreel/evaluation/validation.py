"""Model selection: the validation task of a fold, and the metric used there."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from nightreel.content.comparison import ContentComparison
from nightreel.content.encoders.registry import resolve_encoder
from nightreel.content.training.fit_vectors import FitInputs
from nightreel.data.dataset import Dataset
from nightreel.data.histories import FloatArray, Histories, ItemArray
from nightreel.evaluation.metrics.ranking import Truth, per_user
from nightreel.models.catalogue import catalogue_of
from nightreel.models.outcomes.outcome_log import OutcomeLog
from nightreel.models.training.fold_task import Cuts, Task, leave_last_out_task, task_in_time
from nightreel.models.training.model_selection import initial_params, try_member
from nightreel.models.training.one_standard_error import PositionScores, clearly_better
from nightreel.models.training.training_examples import Validator
from nightreel.settings.finetune import Finetune
from nightreel.settings.params_file import Settings
from nightreel.stage import progress_of, read_json

LEAVE_LAST_OUT = "leave_last_out"
CONTENT: Final = "content_knn"
ITEMS, UNDERSTOOD = Path("data/validate/items.parquet"), Path("data/understand/items.parquet")
LARGEST_LESSON = 0.1  # largest share of all events in one validation window, so that enough is left to train on
LEARNED = ("train", "valid")
FEWEST_LESSONS = 2  # cuts in time of a fold that the gate does not use
Vectors = npt.NDArray[np.float32]


def ndcg(lists: ItemArray, targets: Histories) -> FloatArray:
    """[n] NDCG@10 of lists against rows of targets."""
    n_items = int(max(lists.max(initial=0), targets.items.max(initial=0))) + 1
    return per_user(lists, Truth.of(targets, n_items), (10,))["ndcg@10"]


def gate_fold(data: Dataset) -> str:
    """The fold whose selected parameters are published: the gate's latest."""
    return data.protocols[data.gate][0]


def fold_task(data: Dataset, fold: str, settings: Finetune) -> Task:
    """The fold's train and validation events as a task; a fold cut at one time gets several earlier cuts."""
    if fold == LEAVE_LAST_OUT:
        train, valid = data.positives(fold, ("train",)), data.positives(fold, ("valid",))
        return leave_last_out_task(train, valid, settings.positions)
    lessons = settings.time_cuts if fold in data.protocols[data.gate] else FEWEST_LESSONS
    cuts = Cuts(lessons, settings.time_cut_users, LARGEST_LESSON, data.exclude_seen)
    task = task_in_time(data.positives(fold, LEARNED), cuts)
    return replace(task, outcomes=OutcomeLog.of(data, fold, LEARNED))


def judge_of(data: Dataset) -> Validator:
    """The validation metric for this data set."""
    threads = int(read_json(Path("data/snapshot/environment.json"))["threads"])
    return Validator(ndcg, data.exclude_seen, data.clock == "time", threads)


def content_quality(data: Dataset, vectors: Vectors, settings: Settings, judge: Validator) -> PositionScores:
    """Validation NDCG@10 of content kNN on the gate's latest fold, with its best parameters."""
    base, task = (
        initial_params(settings.finetune, "base", "last_event"),
        fold_task(data, gate_fold(data), settings.finetune),
    )
    return try_member(CONTENT, task, catalogue_of(data.items, vectors), base, settings.finetune, judge).scores


def compare_content(
    data: Dataset, settings: Settings, judge: Validator, before: Vectors, after: Vectors
) -> ContentComparison:
    """Compare two sets of content vectors by `content_quality`."""
    with progress_of("vectors before"):
        theirs = content_quality(data, before, settings, judge)
    with progress_of("vectors after"):
        ours = content_quality(data, after, settings, judge)
    return ContentComparison(theirs.mean, ours.mean, clearly_better(ours, theirs))


def content_inputs(data: Dataset, settings: Settings, judge: Validator) -> FitInputs:
    """The inputs of content training: events that every fold trains on, and the validation score to select by."""
    return FitInputs(
        train=data.trained_everywhere(),
        n_items=data.n_items,
        texts=(ITEMS, UNDERSTOOD),
        settings=resolve_encoder(settings, ITEMS),
        compare=partial(compare_content, data, settings, judge),
        used=CONTENT in settings.finetune.members,
    )
