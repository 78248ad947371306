"""Exposure of groups of items (creators, languages, …): each group's share of the lists, weighted by rank, against its
share of the relevant items. The weight of rank r is 1 / log2(r + 1), as in DCG.

Source: disparate treatment of exposure and merit, Singh and Joachims 2018 (doi:10.1145/3219819.3220088).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nightreel.data.histories import FloatArray, IntArray, ItemArray
from nightreel.evaluation.metrics.bootstrap import Interval, interval
from nightreel.evaluation.metrics.ranking import Truth
from nightreel.evaluation.model_scores import by_user
from nightreel.evaluation.segments.slice_tests import Resample

MOST_GROUPS = 8


@dataclass(frozen=True)
class GroupExposure:
    """A group's share of the exposure and of the relevant items, and their difference: below 0 is under-exposed."""

    by: str
    name: str
    items: int
    exposure: Interval
    wanted: float
    surplus: Interval


def group_exposure(
    by: str,
    labels: Sequence[Sequence[str]],
    lists: ItemArray,
    truths: Sequence[Truth],
    users: IntArray,
    resample: Resample,
) -> list[GroupExposure]:
    """Compute the exposure of the MOST_GROUPS largest groups; empty if there is only one group.

    An item in several groups counts for each in equal parts.

    Args:
        by: What the groups are by, such as `language`.
        labels: Groups of each item.
        lists: [n, k] lists.
        truths: Of the same n rows, fold by fold.
        users: [n] user of each row.
        resample: The bootstrap over users.
    """
    sizes = Counter(label for row in labels for label in set(row))
    names = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_GROUPS]
    if len(sizes) < 2 or not len(users):
        return []
    member = np.zeros((len(labels) + 1, len(names)))
    for item, row in enumerate(labels):
        for label in set(row).intersection(names):
            member[item, names.index(label)] = 1 / len(set(row))
    weight = 1 / np.log2(np.arange(lists.shape[1]) + 2.0)
    given = sum(weight[place] * member[column] for place, column in enumerate(lists.T))
    attention = (lists >= 0) @ weight
    wanted = np.concatenate([_wanted(truth, member) for truth in truths])
    counts = np.concatenate([truth.counts for truth in truths]).astype(np.float64)
    sums, _ = by_user(users, np.column_stack([given, wanted, attention, counts]))
    shares, merits = _shares(resample(sums), len(names))
    point, merit = (part[0] for part in _shares(sums.sum(axis=0, keepdims=True), len(names)))
    return [
        GroupExposure(
            by,
            name,
            sizes[name],
            interval(point[g], shares[:, g]),
            float(merit[g]),
            interval(point[g] - merit[g], shares[:, g] - merits[:, g]),
        )
        for g, name in enumerate(names)
    ]


def _wanted(truth: Truth, member: FloatArray) -> FloatArray:
    """[n, g] number of the truth's items by group."""
    row, item = np.divmod(truth.keys, truth.n_items)
    columns = [np.bincount(row, member[item, g], len(truth.counts)) for g in range(member.shape[1])]
    return np.column_stack(columns)


def _shares(totals: FloatArray, groups: int) -> tuple[FloatArray, FloatArray]:
    given, wanted = totals[:, :groups], totals[:, groups : 2 * groups]
    return given / np.maximum(totals[:, -2:-1], 1e-12), wanted / np.maximum(totals[:, -1:], 1e-12)
