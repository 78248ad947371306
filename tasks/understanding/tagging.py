"""Tags of items, learned from the labels that the catalogue gives to some of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.content.text_encoder import TextEncoder, Vectors
from tasks.settings.understand import Tags
from tasks.understanding.one_vs_rest import Array, Flags, Head, Scaling, fit_head, fit_scaling
from tasks.understanding.tag_quality import calibration_error, first_only, quality

Labels = Sequence[Sequence[str]]
Facts = dict[str, Any]
Take = Callable[[npt.NDArray[np.int64]], Vectors]


@dataclass(frozen=True)
class Tagger:
    """A head for each of `names`, with probabilities that are calibrated out of fold."""

    names: tuple[str, ...]
    head: Head
    scaling: Scaling
    threshold: float

    def digest(self) -> str:
        """sha256 of the head and its scaling."""
        parts = (self.head.weights, self.head.bias, self.scaling.slope, self.scaling.offset)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()

    def tags(self, vectors: Vectors) -> list[tuple[list[str], list[float]]]:
        """Of each vector: the tags at or above the threshold and their probabilities, the likeliest first."""
        found = []
        for row in self.scaling.probabilities(self.head.scores(vectors)):
            best = [label for label in np.argsort(-row, kind="stable").tolist() if row[label] >= self.threshold]
            found.append(([self.names[label] for label in best], [round(float(row[label]), 4) for label in best]))
        return found


@dataclass(frozen=True)
class Lesson:
    """What is learned from: vectors [n, dim] of items that have labels, flags [n, labels] of the label names."""

    names: tuple[str, ...]
    vectors: Vectors
    flags: Flags


def labels_of(row: Mapping[str, Any], taxonomy: Sequence[str]) -> list[str]:
    """A row's labels: its genres; where a taxonomy is given, those of its labels that are among genres and tags."""
    genres, tags = list(row.get("genres") or ()), list(row.get("tags") or ())
    if not taxonomy:
        return genres
    own = {label.casefold() for label in (*genres, *tags) if label}
    return [label for label in taxonomy if label.casefold() in own]


def lesson(take: Take, labels: Labels, settings: Tags, rng: np.random.Generator) -> Lesson | None:
    """What can be learned; None where fewer than two labels have enough items. take: numbers of items, ascending, to
    their vectors.

    An item without any label says nothing of what it is not: it is left out.
    """
    counts = Counter(label for own in labels for label in set(own))
    names = [
        n for n, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])) if count >= settings.least_items
    ]
    names = sorted(names[: settings.most_labels])
    rows = np.array([row for row, own in enumerate(labels) if own], np.int64)
    if len(names) < 2:
        return None
    if len(rows) > settings.most_items:
        rows = np.sort(rng.choice(rows, settings.most_items, replace=False))
    at = {name: label for label, name in enumerate(names)}
    flags = np.zeros((len(rows), len(names)), bool)
    for position, row in enumerate(rows):
        flags[position, [at[label] for label in labels[row] if label in at]] = True
    return Lesson(tuple(names), take(rows), flags)


def learn(task: Lesson, encoder: TextEncoder, settings: Tags, rng: np.random.Generator) -> tuple[Tagger | None, Facts]:
    """The tagger, and its cross-validated quality beside always-the-commonest and nearness to the labels' names.

    No tagger (tags stay empty) where it ranks no better than one of the two, or its first tag is right less often.
    """
    from threadpoolctl import threadpool_limits

    # One core: five times as fast where others want the cores too, and the bytes don't depend on their number.
    with threadpool_limits(1):
        return _learn(task, encoder.encode(task.names), settings, rng)


def _learn(task: Lesson, named: Vectors, settings: Tags, rng: np.random.Generator) -> tuple[Tagger | None, Facts]:
    fold = rng.permutation(np.arange(len(task.flags)) % settings.folds)
    scores = np.zeros(task.flags.shape)
    for k in range(settings.folds):
        scores[fold == k] = fit_head(task.vectors[fold != k], task.flags[fold != k], settings.strength).scores(
            task.vectors[fold == k]
        )
    # Each fold's probabilities come from a sigmoid that has not seen it either.
    probabilities = np.zeros(scores.shape)
    for k in range(settings.folds):
        scaling = fit_scaling(scores[fold != k], task.flags[fold != k])
        probabilities[fold == k] = scaling.probabilities(scores[fold == k])
    compared = {
        "learned": quality(probabilities, probabilities >= settings.probability, task.flags),
        "commonest": _quality_of_first(np.tile(task.flags.mean(0), (len(scores), 1)), task.flags),
        "label_names": _quality_of_first((task.vectors @ named.T).astype(np.float64), task.flags),
    }
    facts = {
        **compared, "items": len(task.flags), "labels": len(task.names),
        "calibration_error": calibration_error(probabilities, task.flags),
    }  # fmt: skip
    own, *rivals = compared.values()
    if any(own["map"] <= rival["map"] or own["precision@1"] < rival["precision@1"] for rival in rivals):
        return None, facts
    head = fit_head(task.vectors, task.flags, settings.strength)
    return Tagger(task.names, head, fit_scaling(scores, task.flags), settings.probability), facts


def _quality_of_first(scores: Array, flags: Flags) -> dict[str, float]:
    return quality(scores, first_only(scores), flags)
