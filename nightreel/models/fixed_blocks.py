"""Matrix products whose rows do not depend on their neighbours: a batch gives the bits that single requests give.

BLAS selects its kernels by shape, and each rounds differently: a row multiplied alone, among eight and among a thousand
gives three results that differ in the last bit, which is enough to swap two items of a list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LINES = 8
"""Rows of one matrix product: always so many, and so few that one kernel takes them all. On CPUs without AVX-512,
OpenBLAS rounds the 7th line of a dozen otherwise than the 6th."""


def product(rows: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[n, m] product of rows [n, d] and a matrix [d, m], as products of LINES rows each.

    Example:
        >>> left, right = np.ones((3, 2), np.float32), np.ones((2, 4), np.float32)
        >>> product(left, right).tolist() == (left @ right).tolist()
        True
    """
    result = np.empty((len(rows), other.shape[1]), np.result_type(rows, other))
    block = np.zeros((LINES, rows.shape[1]), rows.dtype)
    for start in range(0, len(rows), LINES):
        part = rows[start : start + LINES]
        block[: len(part)] = part
        result[start : start + LINES] = (block @ other)[: len(part)]
    return result
