"""Tagger: predicts tags, trained on the items that the catalogue labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nightreel.content.encoders.base import Vectors
from nightreel.settings.understand import Tags
from nightreel.understanding.tags.one_vs_rest import Array, Head, Scaling, fit_head, fit_scaling
from nightreel.understanding.tags.tag_metrics import BINS, Quality, calibration_gaps
from nightreel.understanding.tags.training_set import TagTrainingSet

CELLS = 1 << 18
"""Scores (items times labels) that are computed at once."""
METHODS = ("learned", "commonest", "label_names")
Facts = dict[str, Any]


@dataclass(frozen=True)
class Tagger:
    """A head for each of `names`, with probabilities calibrated out of fold."""

    names: tuple[str, ...]
    head: Head
    scaling: Scaling
    threshold: float

    def digest(self) -> str:
        """sha256 of the head and its scaling."""
        parts = (self.head.weights, self.head.bias, self.scaling.slope, self.scaling.offset)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()

    def tags(self, vectors: Vectors) -> list[tuple[list[str], list[float]]]:
        """For each vector: the tags at or above the threshold with their probabilities, the likeliest first."""
        found = []
        for row in self.scaling.probabilities(self.head.scores(vectors)):
            best = [label for label in np.argsort(-row, kind="stable").tolist() if row[label] >= self.threshold]
            found.append(([self.names[label] for label in best], [round(float(row[label]), 4) for label in best]))
        return found


def labels_of(row: Mapping[str, Any], taxonomy: Sequence[str]) -> list[str]:
    """A row's labels: its genres; with a taxonomy, its labels among genres and tags."""
    genres, tags = list(row.get("genres") or ()), list(row.get("tags") or ())
    if not taxonomy:
        return genres
    own = {label.casefold() for label in (*genres, *tags) if label}
    return [label for label in taxonomy if label.casefold() in own]


def fit_tagger(task: TagTrainingSet, named: Vectors, settings: Tags) -> tuple[Tagger | None, Facts]:
    """Train the tagger and cross-validate it against two baselines: the most frequent label, and similarity to the
    labels' names (their vectors: [labels, dim]).

    No tagger (tags stay empty) if it ranks no better than one of them, or if its first tag is right less often.
    """
    from threadpoolctl import threadpool_limits

    # One core: five times as fast if other processes use the cores, too, and bytes don't depend on their number.
    with threadpool_limits(1):
        return _learn(task, named, settings)


def _learn(task: TagTrainingSet, named: Vectors, settings: Tags) -> tuple[Tagger | None, Facts]:
    scaling, facts = _cross_validated(task, named, settings)
    own, *rivals = (facts[name] for name in METHODS)
    if any(own["map"] <= rival["map"] or own["precision@1"] < rival["precision@1"] for rival in rivals):
        return None, facts
    head = fit_head(partial(task.of, slice(0, len(task.flags))), settings.strength)
    return Tagger(task.names, head, scaling, settings.probability), facts


def _cross_validated(task: TagTrainingSet, named: Vectors, settings: Tags) -> tuple[Scaling, Facts]:
    """Scaling of out-of-fold scores, and metrics of all methods; a few labels at once, so that the table of all
    items and labels is never in memory."""
    n, labels = task.flags.shape
    heads = [fit_head(partial(task.without, part), settings.strength) for part in task.parts]
    judged = {name: Quality(n, settings.probability if name == "learned" else None) for name in METHODS}
    slopes, offsets, gaps = [], [], np.zeros(BINS)
    for start in range(0, labels, step := max(1, CELLS // n)):
        some = slice(start, start + step)
        flags = task.flags[:, some]
        scores = _scores(task, [head.of(some) for head in heads])
        # The probabilities of each part come from a sigmoid that was not fitted on it.
        probabilities = np.concatenate(
            [
                fit_scaling(np.delete(scores, part, 0), np.delete(flags, part, 0)).probabilities(scores[part])
                for part in task.parts
            ]
        )
        judged["learned"].add(probabilities, flags)
        judged["commonest"].add(np.tile(flags.mean(0), (n, 1)), flags)
        near = Head(named[some].T.astype(np.float64), np.zeros(flags.shape[1]))
        judged["label_names"].add(_scores(task, [near] * len(heads)), flags)
        gaps += calibration_gaps(probabilities, flags)
        scaling = fit_scaling(scores, flags)
        slopes.append(scaling.slope)
        offsets.append(scaling.offset)
    facts = {name: each.facts() for name, each in judged.items()} | {
        "items": n,
        "labels": labels,
        "calibration_error": round(float(np.abs(gaps).sum() / task.flags.size), 6),
    }
    return Scaling(np.concatenate(slopes), np.concatenate(offsets)), facts


def _scores(task: TagTrainingSet, heads: Sequence[Head]) -> Array:
    """[n, labels] scores of each part by its own head."""
    return np.concatenate(
        [head.scores(vectors) for part, head in zip(task.parts, heads, strict=True) for vectors, _ in task.of(part)]
    )
