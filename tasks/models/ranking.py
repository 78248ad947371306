"""Learning the blend's trees: LambdaMART over held-out positions, by LightGBM.

Source: Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82. Time grows with positions x candidates x
trees; `negatives` bounds the candidates a position is learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.data.histories import Histories
from tasks.models.candidates import Candidates
from tasks.models.engine import THREADS, Engine
from tasks.models.positions import Positions
from tasks.settings import Trees

BLOCK = 256  # positions scored at once
Asked = tuple[Positions, tuple[Candidates, tuple[str, ...], npt.NDArray[np.float32]]]


@dataclass(frozen=True)
class Examples:
    """Rows of candidates grouped by position. matrix: float32 [r, columns]; labels: int8 [r], 1 for what came next;
    sizes: rows of each group; users: int64 [groups]."""

    columns: tuple[str, ...]
    matrix: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8]
    sizes: npt.NDArray[np.int64]
    users: npt.NDArray[np.int64]

    def take(self, groups: npt.NDArray[np.bool_]) -> Examples:
        """Only some groups."""
        rows = np.repeat(groups, self.sizes)
        return Examples(self.columns, self.matrix[rows], self.labels[rows], self.sizes[groups], self.users[groups])


def answers(found: Candidates, targets: Histories, n_items: int) -> npt.NDArray[np.bool_]:
    """[p] whether each candidate is among its row's targets."""
    truth = targets.rows * n_items + targets.items
    return np.isin(found.rows.astype(np.int64) * n_items + found.items, truth)


def examples(
    engine: Engine, positions: Positions, exclude_seen: bool, negatives: int, generator: np.random.Generator
) -> Examples:
    """Candidates of every position that holds its answer, with at most `negatives` others drawn at random."""
    matrices, labels, sizes, users = [], [], [], []
    columns: tuple[str, ...] = ()
    for part, (found, names, matrix) in _asked(engine, positions, exclude_seen):
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


def asked_for(
    engine: Engine, positions: Positions, exclude_seen: bool, negatives: int, generator: np.random.Generator
) -> Examples:
    """Examples of the lists that will be asked for. Where items may come again, also of lists without them
    (`recommend --users`, `exclude_seen=True`): trees that have only told known from new items rank the new ones badly.
    """
    usual = examples(engine, positions, exclude_seen, negatives, generator)
    if exclude_seen or not len(new := positions.first_meetings()):
        return usual
    return together([usual, examples(engine, new, True, negatives, generator)])


def together(parts: Sequence[Examples]) -> Examples:
    """All examples of `parts`, which have the same columns."""
    return Examples(
        parts[0].columns,
        np.concatenate([part.matrix for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.users for part in parts]),
    )


def _asked(engine: Engine, positions: Positions, exclude_seen: bool) -> Iterator[Asked]:
    """Blocks of the positions, in order, with what the engine says of them; a few at once."""

    def ask(start: int) -> Asked:
        part = positions.take(np.arange(start, min(start + BLOCK, len(positions))))
        return part, engine.candidates(part.histories, part.moments, part.histories if exclude_seen else None)

    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, len(positions), step := BLOCK * THREADS):  # so that few blocks wait in memory
            yield from pool.map(ask, range(first, min(first + step, len(positions)), BLOCK))


def learn_trees(data: Examples, rounds: Sequence[int], settings: Trees, seed: int, threads: int) -> dict[int, str]:
    """LightGBM's text form of a ranker for each number of trees (boosting goes on from the fewer to the more).

    The same inputs and threads give the same texts.
    """
    import lightgbm

    names = [column.replace(".", "_") for column in data.columns]
    dataset = lightgbm.Dataset(data.matrix, data.labels, group=data.sizes, feature_name=names)
    parameters = {
        "objective": "lambdarank",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.leaf_rows,
        "lambda_l2": settings.l2,
        "feature_fraction": settings.feature_share,
        "bagging_fraction": settings.row_share,
        "bagging_freq": 1,
        "lambdarank_truncation_level": settings.truncation,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    booster = lightgbm.train(parameters, dataset, num_boost_round=max(rounds))
    return {count: str(booster.model_to_string(num_iteration=count)) for count in rounds}
