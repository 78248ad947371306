"""Arguments of requests for many histories: checked here, because compiled code trusts the indices that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.bundle.clock import LAST_EVENT, Moment
from nightreel.data.histories import FloatArray, Histories, IntArray
from nightreel.errors import UserError
from nightreel.reader.requests import arguments


def histories(name: str, value: object, n_items: int, rows: int | None = None) -> Histories:
    """Histories of a version's items; raises UserError, naming the argument, for anything else.

    Args:
        name: The argument.
        value: The value.
        n_items: Items of the version.
        rows: Number of rows that there must be; None for any.
    """
    arguments.of_type(name, value, Histories)
    assert isinstance(value, Histories)
    if rows is not None and len(value) != rows:
        raise UserError(f"{name} has {len(value):,} rows for {rows:,} histories. Give one each, an empty one for none.")
    ends, events = value.indptr, len(value.items)
    if ends[0] != 0 or ends[-1] != events or len(value.times) != events or (np.diff(ends) < 0).any():
        raise UserError(f"{name} does not divide its events into rows. Make it with Histories.from_rows.")
    _require_known(name, value.items, n_items)
    return value


def indices(name: str, value: object, n_items: int) -> IntArray:
    """[m] item indices of a version; raises UserError, naming the argument, for anything else."""
    found = np.asarray(value) if isinstance(value, np.ndarray | list | tuple | range) else np.empty((0, 0))
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise UserError(f"{name} is no list of whole numbers. Give item indices: rows of `reader.items.ids`.")
    _require_known(name, found, n_items)
    return found.astype(np.int64)


def _require_known(name: str, found: npt.NDArray[Any], n_items: int) -> None:
    """Raise UserError for indices that are no item's: compiled code would read foreign memory there."""
    if not found.size:
        return
    least, most = int(found.min()), int(found.max())
    if least < 0 or most >= n_items:
        raise UserError(
            f"{name} holds {least if least < 0 else most}. Give item indices from 0 to {n_items - 1}: rows of "
            "`reader.items.ids`."
        )


def moments(name: str, value: object, rows: int) -> FloatArray:
    """[rows] times, NaN for the end of the data; None: that for all. Raises UserError, naming the argument."""
    if value is None:
        return np.full(rows, np.nan)
    found = np.asarray(value) if isinstance(value, np.ndarray | list | tuple) else np.empty((0, 0))
    if found.shape != (rows,) or found.dtype.kind not in "iuf":
        raise UserError(
            f"{name} is no list of {rows} numbers. Give one time for each row, NaN for the end of the data."
        )
    return found.astype(np.float64)


def each_moment(name: str, value: Moment | Sequence[Moment], rows: int) -> None:
    """One time for all, or one for each of the rows; raises UserError, naming the argument, for anything else."""
    if value is None or isinstance(value, str | int | float):
        return arguments.moment(name, value, LAST_EVENT)
    if len(value) != rows:
        raise UserError(f"{name} has {len(value):,} times for {rows:,} users. Give one for all, or one each.")
    for place, one in enumerate(value):
        arguments.moment(f"{name}[{place}]", one, LAST_EVENT)
    return None
