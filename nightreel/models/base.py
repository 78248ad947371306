"""The interface of every recommender, and the item data that models may use."""

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
    """One model's scores for n rows: of all items, or of retrieved ones."""

    @property
    def floor(self) -> npt.NDArray[np.float32]:
        """[n] lowest score of each row. Items with this score are no candidates: without a signal, all items score
        alike."""

    def __len__(self) -> int:
        """Number of rows."""

    def top(self, k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """[n, k] best items and their scores, -inf where there are no more."""

    def at(self, rows: IntArray, items: IntArray) -> npt.NDArray[np.float32]:
        """[p] scores of pairs of row and item; rows ascending."""


@dataclass(frozen=True)
class Catalogue:
    """Item data that don't depend on user behaviour.

    Attributes:
        vectors: float32 [n, d] content vectors of unit length; zero for items without content.
        genres: float32 [n, g] multi-hot encoding of the most common genres.
        years: float32 [n] release years; NaN where unknown.
        count: Counts words when called, because only fitting needs them.
        nearest: The index of the content vectors, where the version has one.
        changed: Rows of `vectors`, ascending, that are newer than the index and the stored neighbours.
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
        """[n, g] genres with rows of unit length."""
        return unit_rows(self.genres)

    @cached_property
    def year_places(self) -> npt.NDArray[np.float32]:
        """[n] rank of the release year: the share of items with an earlier one, 0 to 1; NaN where the year is
        unknown."""
        known = np.sort(self.years[~np.isnan(self.years)])
        places = np.searchsorted(known, self.years, side="left") / max(len(known), 1)
        return np.where(np.isnan(self.years), np.nan, places).astype(np.float32)

    def words(self) -> sp.csr_matrix:
        """float32 [n, words] word counts of the items' texts; the genres where there are no texts."""
        return sp.csr_matrix(self.genres) if self.count is None else self.count()


class Recommender(Protocol):
    """A recommender: fitted on user histories; scores all items for a history at a given time.

    Scoring needs only numpy and scipy, so that services don't need training libraries.
    """

    @classmethod
    def fit(cls, train: Histories, catalogue: Catalogue, config: Any, *, clock: bool) -> Self:
        """Train the model.

        Args:
            train: Positive events, one row a user.
            catalogue: The items.
            config: Hyper-parameters.
            clock: Whether times are epoch seconds; else they are positions.
        """

    def with_scoring_params(self, config: Any) -> Self:
        """The same fit with other values of the config's `scoring_params`."""

    def score(self, histories: Histories, moments: FloatArray) -> Scores:
        """Score all items.

        Args:
            histories: n rows.
            moments: [n] time of each request.

        Returns:
            [n, n_items] higher is better. A row depends only on its own history and moment.
        """

    def arrays(self) -> Arrays:
        """The complete state, as arrays by name."""

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]], catalogue: Catalogue) -> Self:
        """Restore a model from `arrays()`, which may be memory-mapped."""


@runtime_checkable
class Searching(Protocol):
    """A recommender that can retrieve the best items without scoring all."""

    def search(
        self, histories: Histories, exclude: Histories | None, hidden: npt.NDArray[np.bool_] | None, k: int
    ) -> Scored | None:
        """Retrieve the k best items of each row; None without an index.

        Args:
            histories: n rows.
            exclude: n rows of items that are left out, or None.
            hidden: [n_items] items left out of every row, or None.
            k: Number of items.
        """


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
    """A recommender that can be warm-started, in a fraction of the time of training from scratch."""

    def resumed(
        self, train: Histories, catalogue: Catalogue, config: Any, *, clock: bool, rows: IntArray | None = None
    ) -> Recommender:
        """Train further.

        Args:
            train: All positive events, those that it was trained on and new ones, one row a user.
            catalogue: Today's items.
            config: Hyper-parameters.
            clock: Whether times are epoch seconds; else they are positions.
            rows: [n_items] this model's index of each item, or -1; None: its items come first, and new ones follow.
        """


@runtime_checkable
class Placeable(Recommender, Protocol):
    """A recommender whose fit can be taken over to a later catalogue, of which it has learned no new event."""

    def placed(self, catalogue: Catalogue, rows: IntArray) -> Self:
        """The same fit for another catalogue.

        Args:
            catalogue: Today's items.
            rows: [n_items] this model's index of each item, or -1.
        """


@runtime_checkable
class TrainableAhead(Protocol):
    """A recommender whose later trainings of a night are worth a process of their own, where they start anew."""

    @staticmethod
    def trains_ahead(events: int, train: Histories, config: Any) -> bool:
        """Whether it is trained on `train` from scratch, whatever state it has after `events` of its events."""


def unit_rows(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n, d] rows scaled to unit length; zero rows stay zero."""
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(length, 1e-12), np.float32)
