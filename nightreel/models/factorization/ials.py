"""iALS: matrix factors by alternating least squares over all cells, an unseen history folded in by one solve.

Source: Hu, Koren & Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; loss, scaling of the
regularisation and start as in Rendle et al., "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
RecSys 2022. With S the observed pairs, users u and items v:
sum_S (1 - u'v)² + a sum_all (u'v)² + sum_u λ (|S_u| + a items) |u|² + sum_v λ (|S_v| + a users) |v|².
At recommendation time an event counts exp(-j / decay), j events from the end.
Memory: (users + items) x factors. Ceiling: a row of k events costs k x factors x min(k, factors) + min(k, factors)³:
millions of short histories, 100,000 long ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import FloatArray, Histories
from nightreel.models.base import Arrays, Catalogue, Hyper, Scores
from nightreel.models.item_to_item import binary_matrix, recency_weights, weighted_matrix

Dense = npt.NDArray[np.float64]
CELLS = 4_000_000  # of the events' factors held at once: 32 MB


def solved(observed: sp.csr_matrix, other: Dense, unobserved: float, regularisation: float) -> Dense:
    """[rows, f] the factors of each row of `observed` that suit the other side's [columns, f]; zeros for an empty row.

    Entries of `observed` are the weights of its events. A row's answer doesn't depend on the other rows.
    """
    # In the basis of the unobserved part's axes all rows share a diagonal matrix, however their ridges differ.
    spectrum, axes = np.linalg.eigh(unobserved * (other.T @ other))
    turned = other @ axes
    mass = np.asarray(observed.sum(axis=1), np.float64).ravel()
    ridge = regularisation * (mass + unobserved * len(other))
    scale = 1.0 / np.sqrt(np.maximum(spectrum, 0.0) + np.maximum(ridge, 1e-12)[:, None])
    counts = np.diff(observed.indptr)
    found = np.zeros((observed.shape[0], other.shape[1]))
    for count in np.unique(counts[counts > 0]):
        same = np.flatnonzero(counts == count)
        for rows in np.array_split(same, -(-len(same) * count * other.shape[1] // CELLS)):
            events = observed.indptr[rows][:, None] + np.arange(count)
            root = np.sqrt(observed.data[events].astype(np.float64))
            taken = root[:, :, None] * turned[observed.indices[events]] * scale[rows][:, None]
            found[rows] = scale[rows] * unit_ridge(taken, root)
    return np.asarray(found @ axes.T, np.float64)


def unit_ridge(z: Dense, wanted: Dense) -> Dense:
    """[g, f] (I + Z'Z)^-1 Z'w of each Z [k, f] and w [k]; = Z'(I + ZZ')^-1 w, which is cheaper for few events."""
    turned = z.transpose(0, 2, 1)
    if z.shape[1] < z.shape[2]:
        solution = np.linalg.solve(np.eye(z.shape[1]) + z @ turned, wanted[:, :, None])
        return np.asarray((turned @ solution)[:, :, 0])
    solution = np.linalg.solve(np.eye(z.shape[2]) + turned @ z, turned @ wanted[:, :, None])
    return np.asarray(solution[:, :, 0])


@dataclass(frozen=True)
class Ials:
    """Hyper-parameters: factors, regularisation λ, unobserved a, sweeps, seed, decay (events).

    items: float32 [n_items, factors]; unobserved and regularisation are those of the fit.
    """

    asked_with: ClassVar[frozenset[str]] = frozenset({"decay"})
    items: npt.NDArray[np.float32]
    unobserved: float
    regularisation: float
    decay: float

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, hyper: Hyper, *, clock: bool) -> Self:
        """`sweeps` times the users given the items, then the items given the users; the same seed gives the same."""
        taken = binary_matrix(train, catalogue.n_items)
        takers = taken.T.tocsr()
        unobserved, regularisation = float(hyper["unobserved"]), float(hyper["regularisation"])
        factors = int(hyper["factors"])
        generator = np.random.default_rng(int(hyper["seed"]))
        items = generator.normal(0.0, 0.1 / np.sqrt(factors), (catalogue.n_items, factors))
        for _ in range(int(hyper["sweeps"])):
            users = solved(taken, items, unobserved, regularisation)
            items = solved(takers, users, unobserved, regularisation)
        return cls(items.astype(np.float32), unobserved, regularisation, float(hyper["decay"]))

    def asking(self, hyper: Hyper) -> Self:
        """The same factors asked with another decay."""
        return replace(self, decay=float(hyper["decay"]))

    @cached_property
    def _exact(self) -> Dense:
        """[n_items, factors] in the precision that rows are solved in."""
        return np.asarray(self.items, np.float64)

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items]; zeros for an empty history."""
        profile = weighted_matrix(histories, recency_weights(histories, self.decay), len(self.items))
        users = solved(profile, self._exact, self.unobserved, self.regularisation)
        return np.asarray(users.astype(np.float32) @ self.items.T, np.float32)

    def arrays(self) -> Arrays:
        """The items' factors and what a history is solved with."""
        return {"items": self.items, "asked": np.array([self.unobserved, self.regularisation, self.decay])}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """From `arrays()`."""
        return cls(np.asarray(arrays["items"]), *arrays["asked"].tolist())
