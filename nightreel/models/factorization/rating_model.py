"""The rating model: user and item biases, and matrix factorization of the residuals (squared error).

Source: Koren, Bell & Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009. With m
the mean of all ratings, r = m + b_user + b_item + p_user'q_item; biases first, then the factors on their residuals,
both by alternating ridge regressions:
sum (r - m - b_u - b_i)² + λ_b (sum b_u² + sum b_i²), then sum (residual - p_u'q_i)² + λ (sum |p_u|² + sum |q_i|²).
A user's parameters follow from the items' and the user's ratings, so that a new user is folded in by one solve.
It is not used for ranking: as features of the ranker, item bias, factors and the full prediction changed NDCG@10 on
MovieLens-100K's validation by -0.0007, -0.0033 and +0.0019 (all 95% intervals contain 0;
`benchmarks.models.rating_features`).
Memory: (users + items) x factors. Time: an iteration takes ratings x factors², and factors³ for each row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from nightreel.data.histories import FloatArray, IntArray
from nightreel.models.base import Arrays
from nightreel.models.config import Count, ModelConfig, Positive
from nightreel.models.factorization.ials import CELLS, unit_ridge

FOLDER = "ratings"  # in a bundle, with one .npy file per array
BIAS_SWEEPS = 20  # the biases move by less than 0.001 after ten
RatingName = Literal["ratings", "biases", "mean"]
"""What predicts a rating: the full model, the two biases, or the mean of all ratings."""
MODELS: tuple[RatingName, ...] = ("ratings", "biases", "mean")
SHOWN: Mapping[str, str] = {"ratings": "rating model", "biases": "its biases alone", "mean": "mean rating"}
"""As people read them."""


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
        """Make them from the columns that Dataset.ratings returns, without the times."""
        return cls(np.asarray(users, np.int64), np.asarray(items, np.int64), np.asarray(values, np.float64))


class RatingConfig(ModelConfig):
    """Hyper-parameters of the rating model."""

    bias: Positive = 2.0
    """Ridge penalty on biases, as the number of ratings at the mean that are added to each user's and item's."""
    factors: Annotated[int, Field(ge=0)] = 16
    """Number of factors of the residuals; 0: biases only."""
    regularization: Positive = 15.0
    """Ridge penalty on factors; higher keeps predictions closer to the biases."""
    iterations: Count = 8
    """Alternations between user and item factors; time grows linearly."""


@dataclass(frozen=True)
class RatingModel:
    """A fitted rating model.

    Attributes:
        scale: float64 [5] mean, lowest and highest rating, λ_b and λ.
        item_bias: float32 [n_items].
        item_factors: float32 [n_items, f]; f may be 0.
        user_bias: float32 [n_users + 1], the last one 0, for unknown users.
        user_factors: float32 [n_users + 1, f], the last row zero, for unknown users.
    """

    scale: FloatArray
    item_bias: npt.NDArray[np.float32]
    item_factors: npt.NDArray[np.float32]
    user_bias: npt.NDArray[np.float32]
    user_factors: npt.NDArray[np.float32]

    @classmethod
    def fit(cls, known: Rated, n_users: int, n_items: int, config: RatingConfig) -> Self:
        """Fit biases, then factors.

        Args:
            known: The ratings.
            n_users: Number of users.
            n_items: Number of items.
            config: Hyper-parameters.

        Raises:
            ValueError: There are no ratings.
        """
        if not len(known):
            raise ValueError("there are no ratings to fit the rating model to")
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
        """Predict ratings. For unknown users and items without ratings, their bias and factors are zero.

        Args:
            users: [p] indices; those beyond the known ones are unknown users.
            items: [p] indices.
            model: What predicts.

        Returns:
            [p] ratings, clipped to the range of the training ratings.
        """
        known = np.minimum(users, len(self.user_bias) - 1)
        predicted = np.full(len(items), self.scale[0])
        if model != "mean":
            predicted += self.user_bias[known].astype(np.float64) + self.item_bias[items]
        if model == "ratings":
            predicted += np.einsum("pf,pf->p", self.user_factors[known], self.item_factors[items], dtype=np.float64)
        return np.asarray(np.clip(predicted, self.scale[1], self.scale[2]), np.float64)

    def folded_in(self, items: IntArray, values: FloatArray) -> RatingModel:
        """A model with a single user, 0, who has given these ratings. items, values: [n]."""
        rest = values - self.scale[0] - self.item_bias[items]
        bias = rest.sum() / (len(rest) + self.scale[3]) if len(rest) else 0.0
        taste = np.zeros((2, self.item_factors.shape[1]))
        if len(items):
            rows = np.array([0, len(items)])
            taste[:1] = ridge_rows(rows, items, rest - bias, self.item_factors.astype(np.float64), float(self.scale[4]))
        user_bias = np.array([bias, 0.0], np.float32)
        return RatingModel(self.scale, self.item_bias, self.item_factors, user_bias, taste.astype(np.float32))

    def with_users(self, order: IntArray) -> RatingModel:
        """The same model with its users in another order. order: [n_users] their indices."""
        rows = np.append(order, len(self.user_bias) - 1)
        return replace(self, user_bias=self.user_bias[rows], user_factors=self.user_factors[rows])

    def arrays(self) -> Arrays:
        """The complete state, as arrays by name."""
        return {
            "scale": self.scale,
            "item_bias": self.item_bias,
            "item_factors": self.item_factors,
            "user_bias": self.user_bias,
            "user_factors": self.user_factors,
        }

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Restore a model from `arrays()`. Raises KeyError where an array is missing."""
        return cls(
            *(np.asarray(arrays[n]) for n in ("scale", "item_bias", "item_factors", "user_bias", "user_factors"))
        )


def biases(known: Rated, n_users: int, n_items: int, mean: float, strength: float) -> tuple[FloatArray, FloatArray]:
    """User biases [n_users] and item biases [n_items] by alternating ridge estimates; 0 without ratings."""
    user, item = np.zeros(n_users), np.zeros(n_items)
    of_user = np.maximum(np.bincount(known.users, minlength=n_users) + strength, 1e-12)
    of_item = np.maximum(np.bincount(known.items, minlength=n_items) + strength, 1e-12)
    above = known.values - mean
    for _ in range(BIAS_SWEEPS):
        item = np.bincount(known.items, above - user[known.users], n_items) / of_item
        user = np.bincount(known.users, above - item[known.items], n_users) / of_user
    return user, item


def factors(left: Rated, n_users: int, n_items: int, config: RatingConfig) -> tuple[FloatArray, FloatArray]:
    """User factors [n_users, f] and item factors [n_items, f] of the residuals `left`, by alternating ridge
    regressions."""
    width, strength = config.factors, config.regularization
    items = np.random.default_rng(0).normal(0.0, 0.1, (n_items, width))  # any initialisation other than zero
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
    """Ridge regression of every row's values on the factors of the other side. Rows of equal length are solved
    together.

    Args:
        ends: [rows + 1] row i has the entries ends[i]:ends[i + 1].
        columns: [entries] index into `other`.
        wanted: [entries] values to fit.
        other: [n, f] factors of the other side.
        strength: Ridge penalty.

    Returns:
        [rows, f]; zeros for a row without entries.
    """
    counts, root = np.diff(ends), np.sqrt(strength)
    solution = np.zeros((len(counts), other.shape[1]))
    for count in np.unique(counts[counts > 0]):
        same = np.flatnonzero(counts == count)
        for rows in np.array_split(same, -(-len(same) * int(count) * max(other.shape[1], 1) // CELLS)):
            at = ends[rows][:, None] + np.arange(count)
            solution[rows] = unit_ridge(other[columns[at]] / root, wanted[at]) / root
    return solution
