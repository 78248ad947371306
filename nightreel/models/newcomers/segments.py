"""Popularity in segments: how much more, or less, users with a label take an item than all users do.

For an item i and a label v, with n events of i by users with v, and E expected ones (events of users with v times the
item's share of all events), the ratio is (n + a) / (E + a): the mean of a Poisson rate under a gamma prior of mean 1
whose strength is a events. A segment with few events so says little. The score of an item is the logarithm of its
popularity at the moment plus that of its ratios, one a column; where a user has several labels of a column, their mean.

Source: Clayton and Kaldor, "Empirical Bayes estimates of age-standardized relative risks", Biometrics 43, 1987.
Memory: 8 bytes for each item and label whose ratio is not near 1; at most 200 labels a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.newcomers.context import ContextColumn, ContextLog, comparable_labels

DAY = 86_400.0
HALF_LIFE_DAYS = 365.0  # what a segment likes changes slowly; how popular an item is now, the moment tells
LEAST_LIFT = 0.1  # smaller changes of an item's log popularity are not stored
UNSEEN = 1e-9  # popularity of an item without events

Lifts: TypeAlias = sp.csr_array
"""[values, n_items] logarithms of the ratios; 0 where nothing is stored."""


@dataclass(frozen=True, eq=False)
class Segments:
    """The selected columns and their ratios. Row numbers run over all columns.

    Attributes:
        columns: Name and values of each column.
        lifts: [rows, n_items].
    """

    columns: tuple[tuple[str, tuple[str, ...]], ...]
    lifts: Lifts

    @classmethod
    def fit(cls, log: ContextLog, columns: Sequence[str], strength: float, pull: float) -> Self:
        """Count all events of a log.

        Args:
            log: Events with their context.
            columns: Names of the columns to use; those that the log lacks are passed over.
            strength: Events that the prior weighs.
            pull: What an item that has a user's label as a genre or tag gains in the logarithm of its popularity.
        """
        used = [(name, log.columns[name]) for name in columns if name in log.columns]
        events, now = np.arange(len(log.items)), float(log.times.max(initial=0.0))
        parts = [
            Counts.of(log, column, events, now).lifts(strength, pull if name == "labels" else 0.0)
            for name, column in used
        ]
        lifts = sp.vstack(parts, format="csr") if parts else sp.csr_array((0, log.n_items))
        return cls(tuple((name, column.values) for name, column in used), sp.csr_array(lifts))

    def rows(self, context: Mapping[str, Iterable[str]]) -> dict[str, tuple[int, ...]]:
        """Rows of the known labels, by column; a column without any is left out.

        Args:
            context: Labels by column.
        """
        found = {}
        for name, labels in context.items():
            number = self._numbers.get(name, {})
            own = tuple(number[label] for label in comparable_labels(name, labels) if label in number)
            if own:
                found[name] = own
        return found

    def by_column(self, rows: Iterable[int]) -> dict[str, tuple[int, ...]]:
        """Row numbers, grouped by their columns."""
        found: dict[str, tuple[int, ...]] = {}
        for row in rows:
            name = self._names[row]
            found[name] = (*found.get(name, ()), row)
        return found

    def labels(self, rows: Iterable[int]) -> list[tuple[str, str]]:
        """(column, label) of each row."""
        flat = [(name, value) for name, values in self.columns for value in values]
        return [flat[row] for row in rows]

    def lift(self, rows: Mapping[str, Sequence[int]]) -> FloatArray:
        """[n_items] what the labels of these rows add to the logarithm of each item's popularity."""
        total = np.zeros(self.lifts.shape[1])
        for own in rows.values():
            for row in own:
                span = slice(self.lifts.indptr[row], self.lifts.indptr[row + 1])
                total[self.lifts.indices[span]] += self.lifts.data[span] / len(own)  # an item stands once in a row
        return total

    def speaking(self, item: int, rows: Mapping[str, Sequence[int]]) -> list[str]:
        """Labels of these rows whose users take an item more than others do, strongest first."""
        found = []
        for number, (_, label) in ((row, self.labels([row])[0]) for own in rows.values() for row in own):
            span = slice(self.lifts.indptr[number], self.lifts.indptr[number + 1])
            lift = float(self.lifts.data[span][self.lifts.indices[span] == item].sum())
            if lift > 0:
                found.append((-lift, label))
        return [label for _, label in sorted(found)]

    def score(self, popularity: npt.NDArray[np.float32], rows: Mapping[str, Sequence[int]]) -> npt.NDArray[np.float32]:
        """[n_items] scores of the items. popularity: [n_items] of the moment."""
        return np.asarray(np.log(np.maximum(popularity, UNSEEN)) + self.lift(rows), np.float32)

    def number_of(self, name: str, value: str) -> int | None:
        """The row of a label; None if it is not known."""
        return self._numbers.get(name, {}).get(value)

    @cached_property
    def _numbers(self) -> dict[str, dict[str, int]]:
        numbers, begin = {}, 0
        for name, values in self.columns:
            numbers[name] = {value: begin + place for place, value in enumerate(values)}
            begin += len(values)
        return numbers

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """[rows] the column of each row."""
        return tuple(name for name, values in self.columns for _ in values)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The ratios as arrays."""
        return {
            "indptr": self.lifts.indptr.astype(np.int64),
            "indices": self.lifts.indices.astype(np.int32),
            "data": self.lifts.data.astype(np.float32),
        }

    @classmethod
    def load(
        cls, columns: Iterable[tuple[str, Iterable[str]]], arrays: Mapping[str, npt.NDArray[Any]], n_items: int
    ) -> Self:
        """Restore from `columns` and `arrays()`; raises ValueError if they do not fit each other."""
        named = tuple((str(name), tuple(map(str, values))) for name, values in columns)
        shape = (sum(len(values) for _, values in named), n_items)
        lifts = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
        return cls(named, lifts)


@dataclass(frozen=True, eq=False)
class Counts:
    """Events of one column, of which ratios of any strength can be made.

    Attributes:
        values: The column's labels.
        taken: [values, n_items] weighted events by users with a label.
        share: [n_items] each item's share of all events.
        carriers: [values] items that have a label as a genre or tag.
    """

    values: tuple[str, ...]
    taken: sp.csr_array
    share: FloatArray
    carriers: tuple[IntArray, ...]

    @classmethod
    def of(cls, log: ContextLog, column: ContextColumn, events: IntArray, now: float) -> Self:
        """Count events.

        Args:
            log: Events with their context.
            column: One of its columns.
            events: Numbers of the events that count.
            now: Time as of which they are weighted, epoch seconds.
        """
        weights = log.weights[events] * 0.5 ** ((now - log.times[events]) / (HALF_LIFE_DAYS * DAY))
        whole = np.bincount(log.items[events], weights, log.n_items)
        shape = (len(events), log.n_items)
        each = sp.csr_array((weights, log.items[events], np.arange(len(events) + 1)), shape=shape)
        nothing = np.empty(0, np.int64)
        carriers = tuple(log.carriers.get(label, nothing) for label in column.values)
        taken = sp.csr_array(column.of_events(events).T @ each)
        return cls(column.values, taken, whole / max(float(whole.sum()), UNSEEN), carriers)

    def lifts(self, strength: float, pull: float = 0.0) -> Lifts:
        """[values, n_items] logarithms of the ratios. strength, pull: as in `Segments.fit`."""
        rows = [sp.csr_array((0, len(self.share)), dtype=np.float32)]
        for value, carriers in enumerate(self.carriers):
            own = self.taken[[value]].toarray()[0]
            lift = np.log((own + strength) / (own.sum() * self.share + strength))
            if pull:
                lift[carriers] += pull
            lift[np.abs(lift) < LEAST_LIFT] = 0.0
            rows.append(sp.csr_array(lift[None].astype(np.float32)))
        return sp.csr_array(sp.vstack(rows, format="csr"))
