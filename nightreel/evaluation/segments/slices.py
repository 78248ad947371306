"""Slices: subsets of a protocol's rows by properties of the users, the test items and the times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import FloatArray

MOST_VALUES = 8  # values of a column with a slice of their own; all others share one
UNKNOWN, REST = "unknown", "others"
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """A slice. by: the property; name: its value or range; rows: [n] bool. Slices of a list column may overlap."""

    by: str
    name: str
    rows: Mask


def number(value: float) -> str:
    """Format a bound with four significant digits."""
    return f"{value:,.4g}"


def thirds(by: str, values: FloatArray, shown: Callable[[float], str] = number) -> list[Slice]:
    """Three slices of about equal size by [n] values, fewer if values tie, and one for NaN rows.

    Empty if all values are equal. shown: formats a bound.
    """
    known = ~np.isnan(values)
    if not known.any() or values[known].min() == values[known].max():
        return []
    low, high = np.quantile(values[known], [1 / 3, 2 / 3], method="lower")
    parts = [
        (f"up to {shown(low)}", known & (values <= low)),
        (f"{shown(low)} to {shown(high)}", known & (values > low) & (values <= high)),
        (f"over {shown(high)}", known & (values > high)),
        (UNKNOWN, ~known),
    ]
    return [Slice(by, name, rows) for name, rows in parts if rows.any()]


def values(by: str, labels: Sequence[Sequence[str]]) -> list[Slice]:
    """A slice for each of the MOST_VALUES most frequent labels of n rows, one for all others, one for rows without.

    Empty if every row has the same single label.
    """
    counts = Counter(label for row in labels for label in set(row))
    chosen = sorted(counts, key=lambda label: (-counts[label], label))[:MOST_VALUES]
    rest = set(counts) - set(chosen)
    parts = [(label, np.array([label in row for row in labels], bool)) for label in chosen]
    parts.append((REST, np.array([bool(rest.intersection(row)) for row in labels], bool)))
    parts.append((UNKNOWN, np.array([not row for row in labels], bool)))
    found = [Slice(by, name, rows) for name, rows in parts if rows.any()]
    return found if len(found) > 1 else []
