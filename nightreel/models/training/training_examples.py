"""Training examples of a ranker: candidates of held-out positions, with features and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, ItemArray
from nightreel.models.engine import THREADS, Engine
from nightreel.models.ranker.blend import Blend, best_of_rows
from nightreel.models.ranker.candidates import Candidates
from nightreel.models.training.training_positions import Positions
from nightreel.stage import read_json, write_json

BLOCK = 256  # positions scored at once
K = 10  # length of the lists that are scored
Quality = Callable[[ItemArray, Histories], FloatArray]
"""[n, k] lists and n rows of targets → [n] NDCG@10."""
Found = tuple[Positions, tuple[Candidates, tuple[str, ...], npt.NDArray[np.float32]]]


@dataclass(frozen=True)
class Validator:
    """How lists are scored in a data set.

    Attributes:
        quality: NDCG@10 of lists.
        exclude_seen: Whether lists leave out what the user has met.
        clock: Whether times are epoch seconds, not positions.
        threads: Of LightGBM.
    """

    quality: Quality
    exclude_seen: bool
    clock: bool
    threads: int

    def per_position(self, engine: Engine, positions: Positions, model: str) -> FloatArray:
        """[n] NDCG@10 of a model's list at each position."""
        exclude = positions.histories.met() if self.exclude_seen else None
        lists, _ = engine.top_k(positions.histories, positions.moments, K, exclude=exclude, hidden=None, model=model)
        return self.quality(lists, positions.targets)

    def mean(self, engine: Engine, positions: Positions, model: str) -> float:
        """Mean NDCG@10 of a model's lists; 0 without positions."""
        return float(self.per_position(engine, positions, model).mean()) if len(positions) else 0.0


@dataclass(frozen=True)
class Examples:
    """Candidates grouped by position.

    Attributes:
        columns: Names of the features.
        matrix: float32 [r, columns], the features.
        labels: int8 [r], 1 for a target.
        sizes: int64 [groups], rows of each position.
        users: int64 [groups], the user of each position.
    """

    columns: tuple[str, ...]
    matrix: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8]
    sizes: npt.NDArray[np.int64]
    users: npt.NDArray[np.int64]

    def take(self, groups: npt.NDArray[np.bool_]) -> Examples:
        """A subset. groups: [groups] which positions to keep."""
        rows = np.repeat(groups, self.sizes)
        return Examples(self.columns, self.matrix[rows], self.labels[rows], self.sizes[groups], self.users[groups])


def answers(found: Candidates, targets: Histories, n_items: int) -> npt.NDArray[np.bool_]:
    """[p] whether each candidate is one of its row's targets."""
    truth = targets.rows * n_items + targets.items
    return np.isin(found.rows.astype(np.int64) * n_items + found.items, truth)


def examples(
    engine: Engine, positions: Positions, exclude_seen: bool, negatives: int, generator: np.random.Generator
) -> Examples:
    """Build examples from every position that has a target among its candidates.

    Args:
        engine: Retrieves the candidates.
        positions: Held-out positions.
        exclude_seen: Whether candidates leave out seen items.
        negatives: Maximum number of other candidates a position, sampled at random.
        generator: Samples them.
    """
    matrices, labels, sizes, users = [], [], [], []
    columns: tuple[str, ...] = ()
    if not len(positions):
        return nothing()
    for part, (found, names, matrix) in retrieved(engine, positions, exclude_seen):
        columns = names
        label = answers(found, part.targets, engine.n_items)
        answered = np.bincount(found.rows, label, minlength=len(part)) > 0
        order = np.lexsort((generator.random(len(label)), label, found.rows))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - np.searchsorted(found.rows, found.rows)
        kept = answered[found.rows] & (label | (place < negatives))
        matrices.append(matrix[kept])
        labels.append(label[kept].astype(np.int8))
        sizes.append(np.bincount(found.rows[kept], minlength=len(part))[answered])
        users.append(part.users[answered])
    return Examples(
        columns, np.concatenate(matrices), np.concatenate(labels), np.concatenate(sizes), np.concatenate(users)
    )


def nothing() -> Examples:
    """No examples."""
    none = np.empty(0, np.int64)
    return Examples((), np.empty((0, 0), np.float32), none.astype(np.int8), none, none)


def asked_for(
    engine: Engine, positions: Positions, exclude_seen: bool, negatives: int, generator: np.random.Generator
) -> Examples:
    """Build examples of the lists that will be requested; see `examples` for the arguments.

    Where lists may repeat items, lists without seen items can be requested too (`recommend --users`,
    `exclude_seen=True`), so their examples are added: a ranker that has only learned to tell known from new items ranks
    the new ones badly.
    """
    usual = examples(engine, positions, exclude_seen, negatives, generator)
    if exclude_seen or not len(new := positions.first_meetings()):
        return usual
    return concatenated([usual, examples(engine, new, True, negatives, generator)])


def validated(
    engine: Engine, positions: Positions, exclude_seen: bool, rankers: Mapping[str, Blend], quality: Quality
) -> dict[str, FloatArray]:
    """[n] NDCG@10 of each ranker's lists at the positions. Candidates are retrieved once for all rankers."""
    quality_of: dict[str, list[FloatArray]] = {name: [] for name in rankers}
    for part, (candidates, columns, matrix) in retrieved(engine, positions, exclude_seen):
        for name, ranker in rankers.items():
            at = [columns.index(column) for column in ranker.columns]
            features = (ranker.columns, matrix[:, at]) if at else (columns, matrix)
            scores = ranker.score(candidates, tuple(engine.members), *features)
            lists, _ = best_of_rows(candidates, scores, len(part), K)
            quality_of[name].append(quality(lists, part.targets))
    return {name: np.concatenate([*parts, np.empty(0)]) for name, parts in quality_of.items()}


def concatenated(parts: Sequence[Examples]) -> Examples:
    """All examples of `parts`, whose columns must be equal unless empty."""
    parts = [part for part in parts if len(part.sizes)]
    if not parts:
        return nothing()
    return Examples(
        parts[0].columns,
        np.concatenate([part.matrix for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.users for part in parts]),
    )


def retrieved(engine: Engine, positions: Positions, exclude_seen: bool) -> Iterator[Found]:
    """Candidates and features of the positions, block by block, in order; a few blocks are computed in parallel."""

    def retrieve(start: int) -> Found:
        part = positions.take(np.arange(start, min(start + BLOCK, len(positions))))
        return part, engine.candidates(part.histories, part.moments, part.histories.met() if exclude_seen else None)

    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, len(positions), step := BLOCK * THREADS):  # limits how many blocks are held in memory
            yield from pool.map(retrieve, range(first, min(first + step, len(positions)), BLOCK))


def save(examples: Examples, folder: Path) -> None:
    """Save examples as four .npy files and the names of the columns."""
    folder.mkdir(parents=True)
    for name in ("matrix", "labels", "sizes", "users"):
        np.save(folder / f"{name}.npy", getattr(examples, name), allow_pickle=False)
    write_json(folder / "columns.json", list(examples.columns))


def saved(folder: Path) -> Examples:
    """Load what `save` has written."""
    arrays = [np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("matrix", "labels", "sizes", "users")]
    return Examples(tuple(read_json(folder / "columns.json")), *arrays)
