"""How many events it takes until a new item is ranked like an old one: reach by events, relative to old items.

A new item is taken by fewer people than an old one, so their plain rates of reach can't be compared. Each pair of a
user and a new item that they took is therefore compared with pairs of old items which as many people took in the same
step (1, 2-3, 4-7, …), by users who took as many items (see item_reach.TOOK). Their rate is what could be expected of
the new item if it were known as well. The ratio of what was reached to what was expected is 1 for new items that are
ranked like old ones. This is indirect standardisation, as in epidemiology's ratio of observed to expected cases
(Breslow & Day, "Statistical Methods in Cancer Research", volume II, 1987, chapter 2). Pairs without an old counterpart
are not compared. Intervals are bootstrapped over items, new and old ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightreel.data.histories import FloatArray, IntArray
from nightreel.evaluation.metrics.bootstrap import Interval, interval, replicate_totals
from nightreel.evaluation.segments.item_reach import TOOK

EVENTS = (0, 1, 2, 5, 10, 20, 50)
"""Classes of a new item's events, by their lowest number."""
TAKERS = (1, 2, 4, 8, 16, 32)
CELLS = len(TAKERS) * len(TOOK)
LEAST_ITEMS, LEAST_EXPECTED = 5, 5.0
"""Of a ratio: with fewer items, samples of them say little; where less is expected, none reached is no evidence."""


@dataclass(frozen=True)
class ReachPoint:
    """New items with so many events.

    Attributes:
        events: Lowest number of the class of EVENTS.
        items: Items that somebody took.
        wanted: Pairs of a user and an item that they took.
        reached: Those whose list had the item among the first places.
        compared: Pairs with an old counterpart.
        expected: Of the compared pairs, how many would have been reached at the rate of old items.
        ratio: Compared pairs that were reached, over `expected`; None with fewer than LEAST_ITEMS items, or if fewer
            than LEAST_EXPECTED are expected.
        places: Share that these items had of all places.
        taken: Share that they had of everything that was taken.
    """

    events: int
    items: int
    wanted: int
    reached: int
    compared: int
    expected: float
    ratio: Interval | None
    places: float
    taken: float

    @property
    def label(self) -> str:
        """The class in words.

        Example:
            >>> [ReachPoint(n, 0, 0, 0, 0, 0.0, None, 0.0, 0.0).label for n in (1, 2, 50)]
            ['1', '2–4', '50+']
        """
        last = dict(pairwise(EVENTS)).get(self.events)
        return (
            f"{self.events}+"
            if last is None
            else str(self.events)
            if last == self.events + 1
            else (f"{self.events}–{last - 1}")
        )


def reach_curve(rows: pa.Table, replicates: int, rng: np.random.Generator) -> list[ReachPoint]:
    """New items by their events, against old items.

    Args:
        rows: Of item_reach, of any steps.
        replicates: Of the bootstrap.
        rng: Of the bootstrap.

    Returns:
        A point for each class of events with items that were taken or shown.
    """
    columns = _Columns.of(rows)
    rates = columns.rates
    replicated = columns.replicated(rates, replicates, rng)
    return [columns.point(number, rates, replicated) for number in range(len(EVENTS)) if columns.of_class(number).any()]


def expected(rows: pa.Table) -> FloatArray:
    """[rows] of each row's takers, how many would be reached at the rate of old items; NaN without a counterpart."""
    columns = _Columns.of(rows)
    return np.asarray(columns.wanted * columns.rates[columns.cell], np.float64)


def like_old_from(points: Sequence[ReachPoint]) -> int | None:
    """The fewest events from which on no class of new items is surely reached less often than old ones.

    Returns:
        None if the last class with an interval still is, or none has an interval.

    Example:
        >>> def point(events, high):
        ...     return ReachPoint(events, 9, 9, 5, 9, 9.0, Interval(0.5, 0.1, high), 0.1, 0.1)
        >>> like_old_from([point(0, 0.7), point(1, 1.2), point(2, 0.9), point(5, 1.0)])
        5
        >>> like_old_from([point(0, 0.7)]) is None
        True
    """
    known = [(point.events, point.ratio) for point in points if point.ratio is not None]
    below = [number for number, (_, ratio) in enumerate(known) if ratio.high < 1.0]
    after = below[-1] + 1 if below else 0
    return known[after][0] if after < len(known) else None


@dataclass(frozen=True)
class _Columns:
    """The rows as arrays. event: class of EVENTS; cell: of takers and of users."""

    item: IntArray
    new: npt.NDArray[np.bool_]
    event: IntArray
    cell: IntArray
    wanted: IntArray
    reached: IntArray
    shown: IntArray

    @classmethod
    def of(cls, rows: pa.Table) -> _Columns:
        numbers = {name: rows[name].to_numpy() for name in ("events", "takers", "took", "wanted", "reached", "shown")}
        # An item that nobody took has no takers; its cell is never counted.
        takers = np.maximum(np.searchsorted(TAKERS, numbers["takers"], side="right") - 1, 0)
        return cls(
            item=pc.index_in(rows["item_id"], pc.unique(rows["item_id"])).to_numpy().astype(np.int64),
            new=rows["new"].to_numpy(zero_copy_only=False),
            event=np.searchsorted(EVENTS, numbers["events"], side="right") - 1,
            cell=takers * len(TOOK) + np.searchsorted(TOOK, numbers["took"]),
            wanted=numbers["wanted"],
            reached=numbers["reached"],
            shown=numbers["shown"],
        )

    @property
    def rates(self) -> FloatArray:
        """[CELLS] share of old items' takers that were reached; NaN without any."""
        old = ~self.new
        wanted, reached = (
            np.bincount(self.cell[old], weights=values[old], minlength=CELLS) for values in (self.wanted, self.reached)
        )
        rates: FloatArray = np.divide(reached, wanted, out=np.full(CELLS, np.nan), where=wanted > 0)
        return rates

    def of_class(self, number: int) -> npt.NDArray[np.bool_]:
        """[rows] new items of a class of EVENTS."""
        own: npt.NDArray[np.bool_] = self.new & (self.event == number)
        return own

    def replicated(self, rates: FloatArray, replicates: int, rng: np.random.Generator) -> FloatArray:
        """[replicates, classes of EVENTS] the ratio in samples of items; NaN where nothing is expected."""
        wanted, reached = self._sums(~self.new, self.cell, CELLS, replicates, rng)
        # A cell of old items that a sample misses keeps its rate.
        sampled = np.where(wanted > 0, reached / np.maximum(wanted, 1.0), np.nan_to_num(rates))
        compared = self.new & ~np.isnan(rates[self.cell])
        wanted, reached = self._sums(compared, self.event * CELLS + self.cell, len(EVENTS) * CELLS, replicates, rng)
        shape = (replicates, len(EVENTS), CELLS)
        anticipated = np.einsum("rec,rc->re", wanted.reshape(shape), sampled)
        observed = reached.reshape(shape).sum(axis=2)
        empty = np.full(observed.shape, np.nan)
        ratios: FloatArray = np.divide(observed, anticipated, out=empty, where=anticipated > 0)
        return ratios

    def _sums(
        self, kept: npt.NDArray[np.bool_], column: IntArray, width: int, replicates: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """[replicates, width] wanted and reached pairs of the rows that are kept, in samples of their items."""
        kept = kept & (self.wanted > 0)
        items, row = np.unique(self.item[kept], return_inverse=True)
        sums = np.zeros((len(items), 2 * width))
        np.add.at(sums, (row, column[kept]), self.wanted[kept])
        np.add.at(sums, (row, width + column[kept]), self.reached[kept])
        if not len(items):
            return np.zeros((replicates, width)), np.zeros((replicates, width))
        totals = replicate_totals(sums, replicates, rng)
        return totals[:, :width], totals[:, width:]

    def point(self, number: int, rates: FloatArray, replicated: FloatArray) -> ReachPoint:
        """A class of EVENTS. replicated: see there."""
        own = self.of_class(number)
        compared = own & ~np.isnan(rates[self.cell])
        anticipated = float((self.wanted * np.nan_to_num(rates[self.cell]))[compared].sum())
        items = len(np.unique(self.item[own & (self.wanted > 0)]))
        enough = (
            len(np.unique(self.item[compared & (self.wanted > 0)])) >= LEAST_ITEMS and anticipated >= LEAST_EXPECTED
        )
        samples = replicated[:, number][~np.isnan(replicated[:, number])]
        return ReachPoint(
            events=EVENTS[number],
            items=items,
            wanted=int(self.wanted[own].sum()),
            reached=int(self.reached[own].sum()),
            compared=int(self.wanted[compared].sum()),
            expected=anticipated,
            ratio=interval(self.reached[compared].sum() / anticipated, samples) if enough else None,
            places=float(self.shown[own].sum() / max(self.shown.sum(), 1)),
            taken=float(self.wanted[own].sum() / max(self.wanted.sum(), 1)),
        )
