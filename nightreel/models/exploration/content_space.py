"""A few directions of the content vectors, in which a posterior over items' content stays small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray, Histories

DIMENSIONS = 16
SAMPLE = 20_000  # vectors from which the directions are computed: more change them little
PROFILE = 100  # newest items of a history that make its profile

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ContentSpace:
    """The principal components of the content vectors.

    Attributes:
        center: [D] float32 mean vector.
        projection: [D, d] float32 directions, that of the largest variance first.
    """

    center: Vectors
    projection: Vectors

    @classmethod
    def fit(cls, vectors: Vectors, dimensions: int = DIMENSIONS) -> ContentSpace:
        """Compute the directions; memory: SAMPLE x D numbers.

        Args:
            vectors: [n, D] content vectors; zero for items without content.
            dimensions: Number of directions; fewer where the vectors have fewer.
        """
        sample = vectors[np.unique(np.linspace(0, max(len(vectors) - 1, 0), SAMPLE).astype(np.int64))]
        sample = np.asarray(sample[np.any(sample != 0, axis=1)], np.float64)
        center = sample.mean(axis=0) if len(sample) else np.zeros(vectors.shape[1])
        _, found = np.linalg.eigh((sample - center).T @ (sample - center))
        found = found[:, ::-1][:, :dimensions]
        # The sign of a direction is arbitrary: its largest part is positive, whatever the solver returned.
        largest = found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])]
        return cls(center.astype(np.float32), (found * np.sign(largest)).astype(np.float32))

    def reduced(self, vectors: Vectors) -> Vectors:
        """Project content vectors.

        Args:
            vectors: [m, D] content vectors.

        Returns:
            [m, d] float32 of unit length; zero for items without content.
        """
        # Not vectors - center: of a whole catalogue that would be a copy of all its vectors.
        inside = vectors @ self.projection - self.center @ self.projection
        filled = np.einsum("md,md->m", vectors, vectors) > 0
        return np.asarray(_unit(inside) * filled[:, None], np.float32)

    def profile(self, vectors: Vectors) -> Vectors:
        """[d] float32 mean of a history's newest items [m, D], of unit length; zero for an empty history."""
        if not len(vectors):
            return np.zeros(self.projection.shape[1], np.float32)
        return np.asarray(_unit(self.reduced(vectors[-PROFILE:]).mean(axis=0)), np.float32)


def fits_before(taken: Histories, reduced: Vectors, asked: Histories) -> FloatArray:
    """How well items fit what their user had taken before.

    Args:
        taken: n histories of what each user took.
        reduced: [n_items, d] of `ContentSpace.reduced`.
        asked: n rows of items with times.

    Returns:
        [nnz of asked] cosine of the item with the profile (see `ContentSpace.profile`) of the user's events before the
            time, -1 to 1; 0 without such events.

    Example:
        >>> taken = Histories.from_rows([([0, 1], [1.0, 5.0])])
        >>> asked = Histories.from_rows([([1, 1], [1.0, 6.0])])
        >>> fits_before(taken, np.eye(2, dtype=np.float32), asked).round(3).tolist()
        [0.0, 0.707]
    """
    found = np.zeros(len(asked.items))
    for row in np.flatnonzero((asked.lengths > 0) & (taken.lengths > 0)).tolist():
        own, times = taken[row]
        totals = np.vstack([np.zeros(reduced.shape[1]), np.cumsum(reduced[own], axis=0, dtype=np.float64)])
        items, moments = asked[row]
        end = np.searchsorted(times, moments, side="left")
        profiles = _unit(totals[end] - totals[np.maximum(end - PROFILE, 0)])
        found[asked.indptr[row] : asked.indptr[row + 1]] = (profiles * reduced[items]).sum(axis=1)
    return found


def _unit(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
