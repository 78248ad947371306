"""The scorer of all lists: NDCG@10, recall@10 and MRR@10 with binary relevance over full rankings, with intervals.

It is plain numpy and shares no code with Nightreel's own metrics, so that neither can hide a bug of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

K = 10
METRICS = ("ndcg", "recall", "mrr")
REPLICATES = 5000
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class BadLists(ValueError):
    """Lists that break the rules: an item twice, an item that the user had seen, an unknown user."""


@dataclass(frozen=True)
class Truth:
    """What each test user took to. users: [n], ascending; items: n sets; hidden: n sets that no list may hold."""

    users: Ints
    items: tuple[frozenset[int], ...]
    hidden: tuple[frozenset[int], ...]

    @classmethod
    def of(cls, pairs: tuple[Ints, Ints], hidden: tuple[Ints, Ints] | None = None) -> Truth:
        """From (user, item) arrays of test events and of what was seen before."""
        users = np.unique(pairs[0])
        return cls(users, _sets(users, pairs), _sets(users, hidden or (pairs[0][:0], pairs[1][:0])))


def score(lists: tuple[Ints, Ints, Ints], truth: Truth) -> dict[str, Floats]:
    """metric → [n] figures of `truth.users`; a user without a list scores 0.

    lists: user, rank (from 1) and item of every place. With r relevant items, hits at ranks p:
    NDCG = Σ 1/log2(p + 1) over Σ of the first min(r, 10) discounts; recall = hits / r; MRR = 1 / first p.
    Raises BadLists.
    """
    top = table(lists, truth)
    relevant = np.array([len(items) for items in truth.items], np.int64)
    hits = np.array(
        [[item in items for item in row] for row, items in zip(top.tolist(), truth.items, strict=True)], bool
    ).reshape(len(top), K)
    discount = 1 / np.log2(np.arange(K) + 2)
    ideal = np.cumsum(discount)[np.minimum(relevant, K) - 1]
    first = np.where(hits.any(1), 1 / (hits.argmax(1) + 1), 0.0)
    return {"ndcg": hits @ discount / ideal, "recall": hits.sum(1) / relevant, "mrr": first}


def table(lists: tuple[Ints, Ints, Ints], truth: Truth) -> Ints:
    """[n, 10] items in rank order, -1 where there is none. Raises BadLists."""
    user, rank, item = (np.asarray(column, np.int64) for column in lists)
    order = np.lexsort((rank, user))
    user, item = user[order], item[order]
    if not np.isin(user, truth.users).all():
        raise BadLists("there are lists for users who were not asked about")
    row = np.searchsorted(truth.users, user)
    place = np.arange(len(user)) - np.searchsorted(user, user)
    top = np.full((len(truth.users), K), -1, np.int64)
    kept = place < K
    top[row[kept], place[kept]] = item[kept]
    for items, hidden, one in zip(top.tolist(), truth.hidden, truth.users, strict=True):
        real = [each for each in items if each >= 0]
        if len(set(real)) < len(real):
            raise BadLists(f"user {one}'s list holds an item twice")
        if hidden.intersection(real):
            raise BadLists(f"user {one}'s list holds an item that was seen before")
    return top


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided 95% interval."""

    point: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.point:.4f} [{self.low:.4f}, {self.high:.4f}]"


class Bootstrap:
    """Percentile intervals over users (Efron, 1979): the same draws of users for every model, so differences pair."""

    def __init__(self, users: Ints, seed: int = 0, replicates: int = REPLICATES) -> None:
        """users: [n] the user of each row: rows of one user (over folds) are drawn together."""
        _, self._at = np.unique(users, return_inverse=True)
        n = int(self._at.max()) + 1
        draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), replicates).astype(np.float64)
        self._draws, self._rows = draws, draws @ np.bincount(self._at).astype(np.float64)

    def means(self, values: Floats) -> Floats:
        """[replicates] means over the rows of the users drawn."""
        sums = np.bincount(self._at, weights=values, minlength=self._draws.shape[1])
        found: Floats = self._draws @ sums / self._rows
        return found

    def interval(self, values: Floats) -> Interval:
        """Of a mean, or of a difference where `values` are paired differences."""
        low, high = np.quantile(self.means(values), (0.025, 0.975))
        return Interval(float(values.mean()), float(low), float(high))

    def ratio(self, ours: Floats, theirs: Floats) -> Interval:
        """Of the ratio of two means; infinite where theirs is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = np.nan_to_num(self.means(ours) / self.means(theirs), nan=1.0, posinf=np.inf)
            point = float(ours.mean() / theirs.mean()) if theirs.mean() else float("inf")
        low, high = np.quantile(drawn, (0.025, 0.975), method="nearest")
        return Interval(point, float(low), float(high))


def _sets(users: Ints, pairs: tuple[Ints, Ints]) -> tuple[frozenset[int], ...]:
    found: dict[int, set[int]] = {int(user): set() for user in users}
    for user, item in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True):
        if user in found:
            found[user].add(item)
    return tuple(frozenset(items) for items in found.values())
