"""Deterministic truncated SVD of a sparse matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]


def leading(matrix: sp.csr_matrix, count: int) -> tuple[Floats, Floats]:
    """Compute leading right singular vectors, with ARPACK on the smaller Gram operator.

    This is what scipy's `svds` does, but that one seeds ARPACK's restarts differently each time (scipy 1.17), so that
    results vary.

    Args:
        matrix: [rows, columns].
        count: Number of vectors, below both dimensions.

    Returns:
        [columns, count] right singular vectors, largest first, and their singular values [count].
    """
    from scipy.sparse.linalg import (
        LinearOperator,
        eigsh,
    )  # imported here, because it takes 0.1 s and scoring does not need it

    a = matrix.astype(np.float64)
    tall = a.shape[0] >= a.shape[1]
    first, second = (a, a.T.tocsr()) if tall else (a.T.tocsr(), a)
    n = min(a.shape)
    gram = LinearOperator((n, n), matvec=lambda x: second @ (first @ x), dtype=np.float64)
    values, vectors = eigsh(gram, k=count, v0=np.ones(n), rng=np.random.default_rng(0))
    strength = np.sqrt(np.maximum(values[::-1], 0.0))
    vectors = vectors[:, ::-1]
    if not tall:
        vectors = (second.T @ vectors) / np.maximum(strength, 1e-12)
    return np.asarray(vectors, np.float64), strength
