"""Validation: what a fold's settings are chosen on, and how lists are judged there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.data.dataset import Dataset
from tasks.data.histories import FloatArray, Histories, ItemArray
from tasks.evaluation.ranking import Truth, per_user
from tasks.models.catalogue import catalogue_of
from tasks.models.learning import Judge, try_member, untrained
from tasks.models.task import Task, task_of
from tasks.settings import Settings
from tasks.stage import read_json

LEAVE_LAST_OUT = "leave_last_out"
CONTENT: Final = "content_knn"
Vectors = npt.NDArray[np.float32]


def ndcg(lists: ItemArray, targets: Histories) -> FloatArray:
    """[n] NDCG@10 against rows of targets; indices beyond both are all that the catalogue needs to hold."""
    n_items = int(max(lists.max(initial=0), targets.items.max(initial=0))) + 1
    return per_user(lists, Truth.of(targets, n_items), (10,))["ndcg@10"]


def gate_fold(data: Dataset) -> str:
    """The fold whose choices are shipped: the gate's latest."""
    return data.protocols[data.gate][0]


def fold_task(data: Dataset, fold: str, positions: int) -> Task:
    """The fold's train and validation as a task; a fold cut at one time asks at that time."""
    train, valid = data.positives(fold, ("train",)), data.positives(fold, ("valid",))
    cut = fold != LEAVE_LAST_OUT and len(valid.times) > 0
    return task_of(train, valid, positions, float(valid.times.min()) if cut else None)


def judge_of(data: Dataset) -> Judge:
    """How lists are judged in this data set."""
    threads = int(read_json(Path("data/snapshot/environment.json"))["threads"])
    return Judge(ndcg, data.exclude_seen, data.clock == "time", threads)


def content_quality(data: Dataset, vectors: Vectors, settings: Settings, judge: Judge) -> float:
    """Validation NDCG@10 of content kNN on the gate's latest fold, at its best setting."""
    base, task = untrained(settings.finetune, "base", "last_event"), fold_task(data, gate_fold(data), 1)
    _, trials = try_member(CONTENT, task, catalogue_of(data.items, vectors), base, settings.finetune, judge)
    return max(float(trial["ndcg@10"]) for trial in trials)
