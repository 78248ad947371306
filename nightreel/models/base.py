"""The one protocol behind which every recommender stands, and the catalogue that models may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import FloatArray, Histories, IntArray

if TYPE_CHECKING:
    from nightreel.models.ann_index import Nearest

Scores = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]


class Scored(Protocol):
    """What a member says of n rows. floor: [n] its lowest score of a row; what scores no higher is no evidence, since a
    member that knows nothing of a history scores all items alike."""

    @property
    def floor(self) -> npt.NDArray[np.float32]:
        """[n]."""

    def __len__(self) -> int:
        """Rows."""

    def top(self, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """[n, k] best items and their scores; -inf where there are no more."""

    def at(self, rows: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[p] scores of items; rows ascending."""


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items without any behaviour.

    vectors: float32 [n, d] content vectors, unit length (zero where there is no text);
    genres: float32 [n, g] multi-hot of the commonest genres; years: float32 [n] release year, NaN where unknown;
    count: gives the words, counted when first asked for, since whoever only answers never asks;
    nearest: finds items by their vectors without reading all of them, where a version has such an index;
    changed: ascending rows of the vectors that are newer than what was computed from them with the version.
    """

    vectors: npt.NDArray[np.float32]
    genres: npt.NDArray[np.float32]
    years: npt.NDArray[np.float32]
    count: Callable[[], sp.csr_matrix] | None = None
    nearest: Nearest | None = None
    changed: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def n_items(self) -> int:
        return len(self.vectors)

    @cached_property
    def unit_genres(self) -> npt.NDArray[np.float32]:
        """[n, g] genres, each item's of length one."""
        return unit_rows(self.genres)

    @cached_property
    def year_places(self) -> npt.NDArray[np.float32]:
        """[n] share of the items with a year whose year is earlier, 0 to 1; NaN where the year is unknown."""
        known = np.sort(self.years[~np.isnan(self.years)])
        places = np.searchsorted(known, self.years, side="left") / max(len(known), 1)
        return np.where(np.isnan(self.years), np.nan, places).astype(np.float32)

    def words(self) -> sp.csr_matrix:
        """[n, words] float32: how often each word occurs in an item's texts; the genres where no texts were given."""
        return sp.csr_matrix(self.genres) if self.count is None else self.count()


class Recommender(Protocol):
    """A member: it learns from histories and scores every item for a history, as of a moment.

    Scoring needs numpy and scipy alone, so that a service without training libraries can answer.
    """

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: Any, *, clock: bool) -> Self:
        """Learn from `train` (one row a user). `clock`: times are epoch seconds, else positions."""

    def with_scoring_params(self, config: Any) -> Self:
        """The same model with other values of the config's `scoring_params`."""

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """[n, n_items] higher is better; row i may depend on row i's history and moment alone."""

    def arrays(self) -> Arrays:
        """All state, as plain arrays."""

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """The same answers from saved arrays (may be memory-mapped)."""


@runtime_checkable
class Searching(Protocol):
    """A recommender that can find a history's best items without scoring every item."""

    def search(
        self, histories: Histories, exclude: Histories | None, hidden: npt.NDArray[np.bool_] | None, k: int
    ) -> Scored | None:
        """The k best of each row, excluded and hidden items left out; None where it has nothing to search with."""


@runtime_checkable
class Factored(Protocol):
    """A recommender whose score is the product of a history's factors and an item's."""

    @property
    def keys(self) -> npt.NDArray[Any]:
        """[n_items, d] factors of the items."""

    def queries(self, histories: Histories) -> npt.NDArray[Any]:
        """[n, d] factors of the histories; a row depends on its own history alone, to the last bit."""


@runtime_checkable
class Resumable(Recommender, Protocol):
    """A recommender that can go on learning, at a fraction of the time of learning anew."""

    def resumed(
        self, train: Histories, catalogue: Catalogue, config: Any, *, clock: bool, rows: IntArray | None = None
    ) -> Recommender:
        """Continued on `train`, which holds what it has learned from and more.

        rows: [n_items] under which index it knows each item, -1 for one that it does not; None: its items are the
        first ones, and others may have been appended.
        """


def unit_rows(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n, d] rows of length one; zero rows stay."""
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(length, 1e-12), np.float32)
