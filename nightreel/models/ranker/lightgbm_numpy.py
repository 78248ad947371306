"""Predictions of LightGBM's trees with numpy alone, from LightGBM's text form.

Source: Lucchese et al., "QuickScorer", SIGIR 2015. A split that sends a row right rules out the leaves on its left, so
a row's leaf is the lowest bit that no split has cleared. For all splits of a tree on one feature, the remaining leaves
depend only on the value's position among their thresholds, and are looked up in a table. Time: trees x features of a
tree x rows x a nanosecond. Ceiling: 64 leaves a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

MOST_LEAVES = 64
CELLS = 500_000  # trees x rows at once, so that they stay in the processor's cache
DEFAULT_LEFT, MISSING = 2, 12  # bits of LightGBM's decision_type
MISSING_NAN = 8


@dataclass(frozen=True)
class Trees:
    """t trees with s splits in total.

    Attributes:
        features: int64 [s] column that each split compares.
        thresholds: float32 [s].
        nan_left: bool [s] whether NaN goes left.
        kept: unsigned [s] bit mask of the leaves that remain possible when a row goes right.
        starts: int64 [t] each tree's first split.
        values: float64 [t, leaves].
    """

    features: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float32]
    nan_left: npt.NDArray[np.bool_]
    kept: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse LightGBM's text form.

        Raises:
            ValueError: It has categorical splits, or more than MOST_LEAVES leaves in a tree.
        """
        parsed = [_fields(block) for block in text.split("\nTree=")[1:]]
        splits = [_Splits.of(fields) for fields in parsed]
        leaves = max((len(one.values) for one in splits), default=1)
        values = np.zeros((len(splits), leaves))
        for at, one in enumerate(splits):
            values[at, : len(one.values)] = one.values
        sizes = np.array([len(one.features) for one in splits], np.int64)
        thresholds = np.concatenate([one.thresholds for one in splits] or [np.zeros(0)])
        return cls(
            np.concatenate([one.features for one in splits] or [np.zeros(0, np.int64)]),
            _rounded_down(thresholds),
            np.concatenate([one.nan_left for one in splits] or [np.zeros(0, bool)]),
            np.concatenate([one.kept for one in splits] or [np.zeros(0, np.uint64)]).astype(narrowest(leaves)),
            np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
            values,
        )

    def predict(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """[p] scores of features float32 [p, columns]. A row's score depends on that row alone."""
        scores = np.empty(len(matrix), np.float32)
        block = max(1, CELLS // max(len(self.values), 1))
        for start in range(0, len(matrix), block):
            scores[start : start + block] = self._block(np.ascontiguousarray(matrix[start : start + block].T))
        return scores

    def _block(self, columns: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        one = self.kept.dtype.type(1)
        possible = np.full((len(self.values), columns.shape[1]), ~(one ^ one))
        for table in self._tables:
            possible[table.trees] &= table.leaves.take(table.places(columns[table.feature]), axis=1)
        leaf = np.bitwise_count((possible & -possible) - one)
        total: npt.NDArray[np.float64] = np.take_along_axis(self.values, leaf.astype(np.int64), axis=1).sum(axis=0)
        return total

    @cached_property
    def _tables(self) -> list[_Table]:
        tree = np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.features)))
        return [_Table.of(self, tree, feature) for feature in np.unique(self.features).tolist()]


@dataclass(frozen=True)
class _Table:
    """Remaining leaves by value of one feature. trees: [m] those that use it; thresholds: float32 [v] ascending;
    leaves: unsigned [m, v + 2] bit masks by number of thresholds below the value, the last column for NaN."""

    feature: int
    trees: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float32]
    leaves: npt.NDArray[Any]

    @classmethod
    def of(cls, trees: Trees, tree: npt.NDArray[np.int64], feature: int) -> Self:
        """tree: [s] the tree of each split."""
        splits = np.flatnonzero(trees.features == feature)
        using, row = np.unique(tree[splits], return_inverse=True)
        thresholds, place = np.unique(trees.thresholds[splits], return_inverse=True)
        one = trees.kept.dtype.type(1)
        leaves = np.full((len(using), len(thresholds) + 2), ~(one ^ one))
        for at, split in enumerate(splits):
            leaves[row[at], place[at] + 1 : -1] &= trees.kept[split]  # larger values go right
            if not trees.nan_left[split]:
                leaves[row[at], -1] &= trees.kept[split]
        return cls(feature, using, thresholds, leaves)

    def places(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """[p] columns of `leaves` for values [p]."""
        found = np.searchsorted(self.thresholds, values)
        found[np.isnan(values)] = len(self.thresholds) + 1
        return found


@dataclass(frozen=True)
class _Splits:
    """One tree's splits in the order of the text, and its leaves' values from left to right."""

    features: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float64]
    nan_left: npt.NDArray[np.bool_]
    kept: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, fields: dict[str, str]) -> Self:
        numbers: Any = {name: np.array(fields.get(name, "").split()) for name in _NAMES}
        values = numbers["leaf_value"].astype(np.float64)
        if len(values) > MOST_LEAVES:
            raise ValueError(f"a tree has {len(values)} leaves; at most {MOST_LEAVES} are supported")
        if fields["num_cat"] != "0":
            raise ValueError("categorical splits are not supported")
        if fields["num_leaves"] == "1":  # a tree without a split is represented by one that sends every row left
            return cls(np.zeros(1, np.int64), np.full(1, np.inf), np.ones(1, bool), np.ones(1, np.uint64), values[:1])
        left, right = numbers["left_child"].astype(int), numbers["right_child"].astype(int)
        order: list[int] = []
        kept = np.zeros(len(left), np.uint64)
        _walk(0, left, right, order, kept)
        kinds, thresholds = numbers["decision_type"].astype(int), numbers["threshold"].astype(np.float64)
        # LightGBM treats NaN as 0 where there was none in training.
        nan_left = np.where(kinds & MISSING == MISSING_NAN, kinds & DEFAULT_LEFT > 0, thresholds >= 0)
        return cls(numbers["split_feature"].astype(np.int64), thresholds, nan_left, kept, values[order])


def narrowest(leaves: int) -> type[np.unsignedinteger[Any]]:
    """The smallest type with a bit for each leaf, which is the fastest."""
    return np.uint16 if leaves <= 16 else np.uint32 if leaves <= 32 else np.uint64


_NAMES = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value")


def _walk(node: int, left: Any, right: Any, order: list[int], kept: npt.NDArray[np.uint64]) -> None:
    """Append leaves from left to right to `order`, and set in `kept` the leaves outside each split's left side."""
    if node < 0:  # LightGBM writes leaf l as -l - 1
        order.append(-node - 1)
        return
    first = len(order)
    _walk(left[node], left, right, order, kept)
    mask = ((1 << len(order)) - 1) ^ ((1 << first) - 1)
    kept[node] = np.uint64(mask ^ 0xFFFF_FFFF_FFFF_FFFF)
    _walk(right[node], left, right, order, kept)


def _fields(block: str) -> dict[str, str]:
    lines = block.split("\n\n")[0].splitlines()[1:]
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _rounded_down(thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The largest float32 not above each threshold: comparing a float32 with it gives the same as with the double."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)
