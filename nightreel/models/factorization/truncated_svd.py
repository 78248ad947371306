"""Leading factors of a sparse matrix, the same every time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]


def leading(matrix: sp.csr_matrix, count: int) -> tuple[Floats, Floats]:
    """[columns, count] right singular vectors, largest first, and their singular values [count].

    count: below both dimensions. By ARPACK on the smaller Gram operator, as scipy's svds does it; that one leaves
    ARPACK's restarts to an unseeded generator (scipy 1.17), so equal matrices would give other factors each time.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh  # 0.1 s that a reader need not wait for

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
