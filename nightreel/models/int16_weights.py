"""Item-to-item weights in 16 bits: the values of a row are integer multiples of a power of two.

A float32 holds such a multiple exactly. So weights are rounded once, when a model is fitted, and validation, evaluation
and the published version, which stores the integers, use the same numbers. The error is at most the largest weight of a
row / MOST. Column indices are stored in 16 bits too, where they fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.models.base import Arrays

MOST = np.iinfo(np.int16).max
NARROW = np.iinfo(np.uint16).max
TINY = np.finfo(np.float32).tiny


def rounded(weights: sp.csr_matrix) -> sp.csr_matrix:
    """[n, n] float32, with values rounded to multiples of the row's step; zeros are dropped."""
    step = np.repeat(_steps(weights), np.diff(weights.indptr))
    kept = sp.csr_matrix((np.rint(weights.data / step) * step, weights.indices, weights.indptr), shape=weights.shape)
    kept.data = kept.data.astype(np.float32)
    kept.eliminate_zeros()
    return kept


def packed(weights: sp.csr_matrix) -> Arrays:
    """Encode weights from `rounded`: codes int16 [nnz], exponents int16 [n], indices [nnz], indptr [n + 1]."""
    steps = _steps(weights)
    codes = np.rint(weights.data / np.repeat(steps, np.diff(weights.indptr))).astype(np.int16)
    return {
        "codes": codes,
        "exponents": np.log2(steps).astype(np.int16),
        "indices": weights.indices.astype(np.uint16 if weights.shape[1] - 1 <= NARROW else np.int32),
        "indptr": weights.indptr.astype(np.int64),
    }


def unpacked(arrays: Mapping[str, npt.NDArray[Any]]) -> sp.csr_matrix:
    """[n, n] the same weights that were packed. Older versions store them unencoded, as `data`."""
    indptr = np.asarray(arrays["indptr"])
    if "codes" in arrays:
        steps = np.ldexp(np.float32(1), arrays["exponents"])
        data = arrays["codes"].astype(np.float32)
        data *= np.repeat(steps, np.diff(indptr))
    else:
        data = np.asarray(arrays["data"])
    parts, n = (data, np.asarray(arrays["indices"], np.int32), indptr), len(indptr) - 1
    return sp.csr_matrix(parts, shape=(n, n), copy=False)


def _steps(weights: sp.csr_matrix) -> npt.NDArray[np.float32]:
    """[n] step of each row: the power of two above its largest weight / MOST; 1 for an empty row."""
    largest = np.zeros(weights.shape[0], np.float32)
    rows = np.flatnonzero(np.diff(weights.indptr))
    largest[rows] = np.maximum.reduceat(np.abs(weights.data), weights.indptr[rows]) if len(rows) else 0
    _, exponent = np.frexp(largest / MOST)
    return np.where(largest > 0, np.maximum(np.ldexp(np.float32(1), exponent), TINY), np.float32(1))
