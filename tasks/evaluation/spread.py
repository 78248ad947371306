"""A distribution in a few numbers, and how far another one is from it: population stability index and KS distance.

PSI = Σ (p - q) ln(p / q) over bins (Lewis, "An Introduction to Credit Scoring", 1994); below 0.1 is usually called
steady, above 0.25 a shift. Without any drift it is about (1/n + 1/m) χ² with bins - 1 degrees of freedom (Yurdakul,
"Statistical properties of the population stability index", 2018), and the Kolmogorov-Smirnov distance D rarely beyond
√(-ln(α/2) / 2 · (1/n + 1/m)): what may well be chance is no alarm, however few the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from tasks.data.histories import FloatArray, IntArray

BINS = 100  # of a number's spread: KS is exact up to that many distinct values, else short by at most one bin's share
GROUPS = 10  # of bins, for PSI
LABELS = 30  # the most frequent ones; the rest are one
HALF = 0.5  # rows that an empty bin is taken to hold, so that the logarithm stays finite
CHANCE = 0.001  # how often chance alone may pass for drift


@dataclass(frozen=True)
class Spread:
    """Counts of values by bin. marks: ascending upper edges (inclusive), or labels; counts: one for each mark, then
    one for all beyond the marks; unknown: values that are missing."""

    marks: tuple[float, ...] | tuple[str, ...]
    counts: tuple[int, ...]
    unknown: int

    @property
    def known(self) -> int:
        return sum(self.counts)

    @property
    def total(self) -> int:
        return self.known + self.unknown

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {"marks": list(self.marks), "counts": list(self.counts), "unknown": self.unknown}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Spread:
        """From `as_json()`."""
        return cls(tuple(value["marks"]), tuple(value["counts"]), int(value["unknown"]))


def spread_of_numbers(values: npt.ArrayLike, marks: Sequence[float] | None = None) -> Spread:
    """Of [n] numbers, NaN being unknown; by their own quantiles, or by the `marks` of another spread."""
    given = np.asarray(values, np.float64)
    known = given[~np.isnan(given)]
    edges = _edges(known) if marks is None else np.asarray(marks, np.float64)
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return Spread(tuple(edges.tolist()), tuple(counts.tolist()), len(given) - len(known))


def spread_of_labels(counts: Mapping[str, int], unknown: int, marks: Sequence[str] | None = None) -> Spread:
    """Of labels with how often each stands; by the most frequent, or by the `marks` of another spread."""
    if marks is None:
        marks = [label for label, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:LABELS]]
    inside = [int(counts.get(label, 0)) for label in marks]
    return Spread(tuple(marks), (*inside, sum(counts.values()) - sum(inside)), unknown)


def _edges(known: FloatArray) -> FloatArray:
    """All distinct values, or as many quantiles (of the values there are, so that no edge lies between two)."""
    distinct = np.unique(known)
    if len(distinct) > BINS:
        distinct = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:], method="inverted_cdf"))
    return np.asarray(distinct, np.float64)


def psi(reference: Spread, other: Spread) -> tuple[float, float]:
    """(PSI, the most that chance would give) of two spreads with the same marks; unknown values are a bin."""
    parts = [_grouped(each, _groups(reference)) for each in (reference, other)]
    used = (parts[0] + parts[1]) > 0
    p, q = (np.maximum(part[used], HALF) / max(part.sum(), 1) for part in parts)
    noise = (1 / max(reference.total, 1) + 1 / max(other.total, 1)) * chi2.ppf(1 - CHANCE, max(int(used.sum()) - 1, 1))
    return float(((p - q) * np.log(p / q)).sum()), float(noise)


def ks(reference: Spread, other: Spread) -> tuple[float, float]:
    """(greatest distance of the distribution functions at the marks, the most that chance would give); of numbers."""
    n, m = max(reference.known, 1), max(other.known, 1)
    apart = np.abs(np.cumsum(reference.counts) / n - np.cumsum(other.counts) / m)
    return float(apart.max(initial=0.0)), float(np.sqrt(-np.log(CHANCE / 2) / 2 * (1 / n + 1 / m)))


def _groups(reference: Spread) -> IntArray:
    """Which group each bin of the reference is in: labels each in their own, numbers in tenths of the reference."""
    counts = np.asarray(reference.counts, np.float64)
    if not reference.marks or isinstance(reference.marks[0], str):
        return np.arange(len(counts), dtype=np.int64)
    middle = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
    groups: IntArray = np.minimum((middle * GROUPS).astype(np.int64), GROUPS - 1)
    return groups


def _grouped(spread: Spread, groups: IntArray) -> FloatArray:
    return np.append(np.bincount(groups, spread.counts, int(groups.max(initial=0)) + 1), float(spread.unknown))
