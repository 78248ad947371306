"""Predicted ratings: user and item biases, and matrix factors of what they leave unexplained (squared error).

Source: Koren, Bell & Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009. With m
the mean of all ratings, r = m + b_user + b_item + p_user'q_item; biases first, then the factors on their residuals,
both by alternating ridge regressions:
sum (r - m - b_u - b_i)² + λ_b (sum b_u² + sum b_i²), then sum (residual - p_u'q_i)² + λ (sum |p_u|² + sum |q_i|²).
A user's part follows from the items' and the user's own ratings, so that somebody unknown is folded in by one solve.
It does not help to rank: as features of the blend, item bias, taste and the whole moved NDCG@10 on MovieLens-100K's
validation by -0.0007, -0.0033 and +0.0019 (95% intervals around 0; `benchmarks.models.rating_features`): it goes without.
Memory: (users + items) x factors. Time: a sweep costs ratings x factors², and a solve of factors³ a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.base import Arrays
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.factorization.ials import CELLS, unit_ridge

FOLDER = "ratings"  # of a bundle, an .npy file an array
BIAS_SWEEPS = 20  # the biases move by less than 0.001 after ten
RatingName = Literal["ratings", "biases", "mean"]
"""What a rating can be predicted with: everything, the two biases, or the mean of all ratings."""
MODELS: tuple[RatingName, ...] = ("ratings", "biases", "mean")


@dataclass(frozen=True)
class Rated:
    """n ratings. users, items: int64 [n] indices; values: float64 [n]."""

    users: IntArray
    items: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, users: npt.ArrayLike, items: npt.ArrayLike, values: npt.ArrayLike, *_: object) -> Self:
        """From the columns that Dataset.ratings gives; their times are not needed."""
        return cls(np.asarray(users, np.int64), np.asarray(items, np.int64), np.asarray(values, np.float64))


class RatingConfig(ModelConfig):
    """Hyper-parameters of the rating head."""

    bias: Positive = 2.0
    """Ratings at the mean that are added to everybody's own."""
    factors: Annotated[int, Field(ge=0)] = 16
    """Factors of what biases leave; 0: biases alone."""
    regularization: Positive = 15.0
    """Ridge penalty on factors."""
    iterations: Count = 8
    """Alternations between users' and items' factors."""


@dataclass(frozen=True)
class RatingModel:
    """scale: float64 [5] mean, lowest and highest rating, λ_b and λ; item_bias: float32 [n_items]; item_factors:
    float32 [n_items, f], f may be 0; user_bias, user_factors: likewise, a last row of zeros for whoever is unknown.
    """

    scale: FloatArray
    item_bias: npt.NDArray[np.float32]
    item_factors: npt.NDArray[np.float32]
    user_bias: npt.NDArray[np.float32]
    user_factors: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, known: Rated, n_users: int, n_items: int, config: RatingConfig) -> Self:
        """Raises ValueError where nothing is known."""
        if not len(known):
            raise ValueError("no ratings to learn from")
        mean, strength = float(known.values.mean()), config.bias
        scale = np.array([mean, known.values.min(), known.values.max(), strength, config.regularization])
        user_bias, item_bias = biases(known, n_users, n_items, mean, strength)
        rest = known.values - mean - user_bias[known.users] - item_bias[known.items]
        left = Rated(known.users, known.items, rest)
        users, items = factors(left, n_users, n_items, config)
        return cls(
            scale,
            item_bias.astype(np.float32),
            items.astype(np.float32),
            np.append(user_bias, 0.0).astype(np.float32),
            np.concatenate([users, np.zeros((1, users.shape[1]))]).astype(np.float32),
        )

    def predict(self, users: IntArray, items: IntArray, model: RatingName = "ratings") -> FloatArray:
        """[p] the rating of each pair, within the scale that was seen. A user's index beyond the known ones is somebody
        unknown, whose own part is zero, as that of an item without ratings is."""
        known = np.minimum(users, len(self.user_bias) - 1)
        found = np.full(len(items), self.scale[0])
        if model != "mean":
            found += self.user_bias[known].astype(np.float64) + self.item_bias[items]
        if model == "ratings":
            found += np.einsum("pf,pf->p", self.user_factors[known], self.item_factors[items], dtype=np.float64)
        return np.asarray(np.clip(found, self.scale[1], self.scale[2]), np.float64)

    def folded_in(self, items: IntArray, values: FloatArray) -> RatingModel:
        """The model in which user 0 is somebody who gave these ratings, and there is nobody else."""
        rest = values - self.scale[0] - self.item_bias[items]
        bias = rest.sum() / (len(rest) + self.scale[3]) if len(rest) else 0.0
        taste = np.zeros((2, self.item_factors.shape[1]))
        if len(items):
            rows = np.array([0, len(items)])
            taste[:1] = ridge_rows(rows, items, rest - bias, self.item_factors.astype(np.float64), float(self.scale[4]))
        own = np.array([bias, 0.0], np.float32)
        return RatingModel(self.scale, self.item_bias, self.item_factors, own, taste.astype(np.float32))

    def arrays(self) -> Arrays:
        """All state."""
        return {
            "scale": self.scale,
            "item_bias": self.item_bias,
            "item_factors": self.item_factors,
            "user_bias": self.user_bias,
            "user_factors": self.user_factors,
        }

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """From `arrays()`; raises KeyError for a missing one."""
        return cls(
            *(np.asarray(arrays[n]) for n in ("scale", "item_bias", "item_factors", "user_bias", "user_factors"))
        )


def biases(known: Rated, n_users: int, n_items: int, mean: float, strength: float) -> tuple[FloatArray, FloatArray]:
    """[n_users], [n_items]: each side's ridge estimate given the other's, users last; 0 for whoever has no rating."""
    user, item = np.zeros(n_users), np.zeros(n_items)
    of_user = np.maximum(np.bincount(known.users, minlength=n_users) + strength, 1e-12)
    of_item = np.maximum(np.bincount(known.items, minlength=n_items) + strength, 1e-12)
    above = known.values - mean
    for _ in range(BIAS_SWEEPS):
        item = np.bincount(known.items, above - user[known.users], n_items) / of_item
        user = np.bincount(known.users, above - item[known.items], n_users) / of_user
    return user, item


def factors(left: Rated, n_users: int, n_items: int, config: RatingConfig) -> tuple[FloatArray, FloatArray]:
    """[n_users, f], [n_items, f] by `sweeps` alternations over the residuals `left`, users last."""
    width, strength = config.factors, config.regularization
    items = np.random.default_rng(0).normal(0.0, 0.1, (n_items, width))  # any start that is not zero
    users = np.zeros((n_users, width))
    if not width:
        return users, items
    by_user, by_item = (np.argsort(side, kind="stable") for side in (left.users, left.items))
    user_ends, item_ends = (
        np.concatenate([[0], np.cumsum(np.bincount(side, minlength=n))])
        for side, n in ((left.users, n_users), (left.items, n_items))
    )
    for sweep in range(config.iterations + 1):
        if sweep:
            items = ridge_rows(item_ends, left.users[by_item], left.values[by_item], users, strength)
        users = ridge_rows(user_ends, left.items[by_user], left.values[by_user], items, strength)
    return users, items


def ridge_rows(ends: IntArray, columns: IntArray, wanted: FloatArray, other: FloatArray, strength: float) -> FloatArray:
    """[rows, f] of each row the ridge regression of its `wanted` on the other side's factors [n, f]; row i has the
    entries ends[i]:ends[i + 1]; zeros for a row without any. Rows of equal length are solved together."""
    counts, root = np.diff(ends), np.sqrt(strength)
    found = np.zeros((len(counts), other.shape[1]))
    for count in np.unique(counts[counts > 0]):
        same = np.flatnonzero(counts == count)
        for rows in np.array_split(same, -(-len(same) * int(count) * max(other.shape[1], 1) // CELLS)):
            at = ends[rows][:, None] + np.arange(count)
            found[rows] = unit_ridge(other[columns[at]] / root, wanted[at]) / root
    return found
