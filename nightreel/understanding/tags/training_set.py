"""Training set of the tagger: labelled items with cross-validation folds, and their vectors in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.content.encoders.base import Vectors
from nightreel.settings.understand import Tags
from nightreel.understanding.tags.one_vs_rest import Flags

Labels = Sequence[Sequence[str]]
Numbers = npt.NDArray[np.int64]
Take = Callable[[Numbers], Iterable[Vectors]]
BLOCK = 4096
"""Vectors that are read at once: more need memory, fewer time."""


@dataclass(frozen=True)
class TagTrainingSet:
    """names: of the labels; flags: [n, labels]; part k has the rows from bounds[k] to bounds[k + 1]; path: a file
    with the [n, dim] vectors, float32."""

    names: tuple[str, ...]
    flags: Flags
    bounds: tuple[int, ...]
    path: Path

    @property
    def parts(self) -> list[slice]:
        """The rows of each part."""
        return [slice(*ends) for ends in pairwise(self.bounds)]

    def of(self, part: slice) -> Iterator[tuple[Vectors, Flags]]:
        """Yield (vectors, flags) of some rows, block by block."""
        width = self.path.stat().st_size // len(self.flags)
        for start in range(part.start, part.stop, BLOCK):
            stop = min(start + BLOCK, part.stop)
            read = np.fromfile(self.path, np.float32, (stop - start) * width // 4, offset=start * width)
            yield read.reshape(stop - start, -1), self.flags[start:stop]

    def without(self, part: slice) -> Iterator[tuple[Vectors, Flags]]:
        """Yield (vectors, flags) of all other rows."""
        yield from self.of(slice(0, part.start))
        yield from self.of(slice(part.stop, len(self.flags)))


def prepare(take: Take, labels: Labels, settings: Tags, rng: np.random.Generator, path: Path) -> TagTrainingSet | None:
    """Prepare the training set; None if fewer than two labels have enough items. take: maps ascending item numbers to
    vectors, block by block; path: of a temporary file.

    Items without any label are left out: a missing label does not mean that it does not apply.
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
    part = rng.permutation(np.arange(len(rows)) % settings.folds)
    rows = rows[np.argsort(part, kind="stable")]
    bounds = (0, *np.cumsum(np.bincount(part, minlength=settings.folds)).tolist())
    with path.open("wb") as file:
        for ends in pairwise(bounds):
            for vectors in take(rows[slice(*ends)]):
                file.write(vectors.tobytes())
    return TagTrainingSet(tuple(names), _flags([labels[row] for row in rows.tolist()], names), bounds, path)


def _flags(labels: Labels, names: Sequence[str]) -> Flags:
    at = {name: label for label, name in enumerate(names)}
    flags = np.zeros((len(labels), len(names)), bool)
    for row, own in enumerate(labels):
        flags[row, [at[label] for label in own if label in at]] = True
    return flags
