"""Training examples of heads: what users met right after a cut in time, and other candidates, with what came of them.

Examples are of two kinds. Items that a user met (was shown, started, liked, turned down) are positive examples of the
outcomes that they had, and negative ones of all others: what was shown and passed over teaches. As many candidates of
the catalogue that the user did not meet are negative examples of every outcome, since a head ranks those as well. So a
probability is that of a draw of which half was met.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.models.engine import THREADS, Engine
from nightreel.models.outcomes.heads import standing
from nightreel.models.outcomes.outcome_log import OutcomeLog
from nightreel.models.ranker.candidates import shortlisted
from nightreel.stage import read_json, write_json

BLOCK = 256  # histories scored at once
ARRAYS = ("matrix", "labels", "users", "standing")


@dataclass(frozen=True)
class OutcomeExamples:
    """Pairs of a user and an item, with what came of them.

    Attributes:
        columns: Names of the features.
        outcomes: Names of the outcomes.
        matrix: float32 [r, columns], the features.
        labels: bool [r, outcomes].
        users: int64 [r].
        standing: [r] the ranker's score in standard deviations of its row, see nightreel.models.outcomes.heads.
    """

    columns: tuple[str, ...]
    outcomes: tuple[str, ...]
    matrix: npt.NDArray[np.float32]
    labels: npt.NDArray[np.bool_]
    users: IntArray
    standing: FloatArray

    def label(self, outcome: str) -> npt.NDArray[np.bool_]:
        """[r] whether an outcome came of each pair; a part of the log in which it is not counted has none."""
        known = outcome in self.outcomes
        return self.labels[:, self.outcomes.index(outcome)] if known else np.zeros(len(self.users), bool)

    def take(self, rows: npt.NDArray[np.bool_]) -> OutcomeExamples:
        """A subset. rows: bool [r]."""
        own = {name: getattr(self, name)[rows] for name in ARRAYS}
        return OutcomeExamples(self.columns, self.outcomes, **own)


@dataclass(frozen=True)
class MetItems:
    """What users met in one period.

    Attributes:
        users: [n] the users, each with a history and at least one met item.
        rows: [p] number in `users` of each pair, ascending.
        items: [p] item of each pair, ascending in a row.
        outcomes: Names of the outcomes.
        labels: bool [p, outcomes] what came of it in the period.
    """

    users: IntArray
    rows: IntArray
    items: IntArray
    outcomes: tuple[str, ...]
    labels: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, log: OutcomeLog, known: Histories, start: float, end: float, most: int, generator: np.random.Generator
    ) -> MetItems:
        """What users with a history met in [start, end).

        Args:
            log: The events.
            known: One row a user, the events before `start`.
            start: Epoch seconds.
            end: Epoch seconds.
            most: Maximum number of users, sampled at random.
            generator: Samples them.
        """
        inside = (log.times >= start) & (log.times < end)
        users = np.unique(log.users[inside])
        users = users[known.lengths[users] > 0]
        if len(users) > most:
            users = np.sort(generator.choice(users, most, replace=False))
        event = np.flatnonzero(inside & np.isin(log.users, users))
        width = int(log.items.max(initial=0)) + 1
        pairs, pair = np.unique(
            np.searchsorted(users, log.users[event]) * width + log.items[event], return_inverse=True
        )
        labels = np.zeros((len(pairs), len(log.marks)), bool)
        for at, mark in enumerate(log.marks.values()):
            labels[pair[mark[event]], at] = True
        return cls(users, pairs // width, pairs % width, tuple(log.marks), labels)


def outcome_examples(
    engine: Engine, known: Histories, met: MetItems, start: float, exclude_seen: bool, generator: np.random.Generator
) -> OutcomeExamples:
    """Describe what users met, and as many other candidates, as of the beginning of the period.

    Args:
        engine: Models that were trained on events before `start`.
        known: One row a user, the events before `start`.
        met: What users met after it.
        start: Epoch seconds.
        exclude_seen: Whether candidates leave out seen items.
        generator: Samples other candidates.
    """
    parts: list[OutcomeExamples] = []
    for part in _described(engine, known, met, start, exclude_seen):
        columns, matrix, rows, position, labels, place = part
        other = np.flatnonzero(~labels.any(axis=1) & (position < 0))
        wanted = np.bincount(rows[position >= 0], minlength=int(rows.max(initial=0)) + 1)
        order = other[np.lexsort((generator.random(len(other)), rows[other]))]
        number = np.arange(len(order)) - np.searchsorted(rows[order], rows[order])
        kept = np.sort(np.concatenate([np.flatnonzero(position >= 0), order[number < wanted[rows[order]]]]))
        users = met.users[rows[kept]]
        parts.append(OutcomeExamples(columns, met.outcomes, matrix[kept], labels[kept], users, place[kept]))
    return concatenated(parts)


Described = tuple[tuple[str, ...], npt.NDArray[np.float32], IntArray, IntArray, npt.NDArray[np.bool_], FloatArray]
"""Names of features, features, row in `MetItems.users`, number of the met pair or -1, labels and standing."""


def _described(
    engine: Engine, known: Histories, met: MetItems, start: float, exclude_seen: bool
) -> Iterator[Described]:
    """Candidates and met items, block by block, in order; a few blocks are computed in parallel."""
    n_items, bounds = engine.n_items, np.searchsorted(met.rows, np.arange(len(met.users) + 1))

    def described(first: int) -> Described:
        last = min(first + BLOCK, len(met.users))
        own = slice(bounds[first], bounds[last])
        past = known.take(met.users[first:last])
        exclude = past.met() if exclude_seen else None
        pairs = (met.rows[own] - first) * n_items + met.items[own]
        gone = engine.left_out(past, exclude)
        number = np.arange(own.start, own.stop)
        if gone is not None:  # an item that is met again is no candidate
            again = np.isin(pairs, gone.rows * n_items + gone.items)
            pairs, number = pairs[~again], number[~again]
        found, columns, matrix = engine.candidates(past, np.full(len(past), start), exclude, also=pairs)
        keys, position = found.rows.astype(np.int64) * n_items + found.items, np.full(len(found.rows), -1)
        position[np.searchsorted(keys, pairs)] = number
        labels = np.zeros((len(keys), len(met.outcomes)), bool)
        labels[position >= 0] = met.labels[position[position >= 0]]
        natural = np.zeros(len(keys), bool)
        natural[shortlisted(found.rows.astype(np.int64), found.ranks, engine.shortlist, found.fits)] = True
        place = standing(found.rows, engine.ranked(found, columns, matrix), natural)
        return columns, matrix, found.rows.astype(np.int64) + first, position, labels, place

    with ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, len(met.users), step := BLOCK * THREADS):  # limits how many blocks are held in memory
            yield from pool.map(described, range(begin, min(begin + step, len(met.users)), BLOCK))


def concatenated(parts: Sequence[OutcomeExamples]) -> OutcomeExamples:
    """All examples of `parts`, whose columns are equal. An outcome that a part does not count has no label there."""
    parts = [part for part in parts if len(part.users)]
    if not parts:
        none = np.empty(0)
        return OutcomeExamples(
            (), (), np.empty((0, 0), np.float32), np.empty((0, 0), bool), none.astype(np.int64), none
        )
    names = tuple(dict.fromkeys(name for part in parts for name in part.outcomes))
    labels = [np.column_stack([part.label(name) for name in names]) for part in parts]
    return OutcomeExamples(
        parts[0].columns,
        names,
        np.concatenate([part.matrix for part in parts]),
        np.concatenate(labels),
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.standing for part in parts]),
    )


def save(examples: OutcomeExamples, folder: Path) -> None:
    """Save examples as .npy files and the names."""
    folder.mkdir(parents=True)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(examples, name), allow_pickle=False)
    write_json(folder / "names.json", {"columns": list(examples.columns), "outcomes": list(examples.outcomes)})


def saved(folder: Path) -> OutcomeExamples:
    """Load what `save` has written."""
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in ARRAYS}
    names = read_json(folder / "names.json")
    return OutcomeExamples(tuple(names["columns"]), tuple(names["outcomes"]), **arrays)
