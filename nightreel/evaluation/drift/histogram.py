"""Histograms, and their distance: population stability index (PSI) and Kolmogorov-Smirnov distance.

PSI = Σ (p - q) ln(p / q) over bins (Lewis, "An Introduction to Credit Scoring", 1994); below 0.1 is usually called
steady, above 0.25 a shift. Without drift it is about (1/n + 1/m) χ² with bins - 1 degrees of freedom (Yurdakul,
"Statistical properties of the population stability index", 2018), and the Kolmogorov-Smirnov distance D is rarely above
√(-ln(α/2) / 2 · (1/n + 1/m)). Values that chance can explain give no warning, however small the sample.

Stopping a run takes more: `apart` resamples both histograms from their own shares, subtracts twice the resampling bias
(once for the resampling, once for the sample itself; for PSI about (bins - 1)(1/n + 1/m)), and returns the lower 99%
limit. Events of one user are not independent: n is Kish's effective sample size, (Σ c)² / Σ c² for c events of each
user ("Survey Sampling", 1965), as if all events of a user were equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from nightreel.data.histories import FloatArray, IntArray

BINS = 100  # of numbers: KS is exact up to this many distinct values, else too small by at most one bin's share
GROUPS = 10  # groups of bins, for PSI
LABELS = 30  # most frequent labels with a bin of their own; all others share one
HALF = 0.5  # count assumed for an empty bin, so that the logarithm stays finite
DRAWS, SURE = 500, 0.99
CHANCE = 0.001  # accepted rate of false alarms


@dataclass(frozen=True)
class Histogram:
    """Counts of values by bin. marks: ascending upper edges (inclusive), or labels; counts: one for each mark, then
    one for all other values; unknown: number of missing values."""

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
        """Convert to plain values."""
        return {"marks": list(self.marks), "counts": list(self.counts), "unknown": self.unknown}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Histogram:
        """Read the result of `as_json()`."""
        return cls(tuple(value["marks"]), tuple(value["counts"]), int(value["unknown"]))


def spread_of_numbers(values: npt.ArrayLike, marks: Sequence[float] | None = None) -> Histogram:
    """Histogram of [n] numbers, NaN if unknown, over their own quantiles or the `marks` of another histogram."""
    given = np.asarray(values, np.float64)
    known = given[~np.isnan(given)]
    edges = _edges(known) if marks is None else np.asarray(marks, np.float64)
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()), len(given) - len(known))


def spread_of_labels(counts: Mapping[str, int], unknown: int, marks: Sequence[str] | None = None) -> Histogram:
    """Histogram of label counts, over the most frequent labels or the `marks` of another histogram."""
    if marks is None:
        marks = [label for label, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:LABELS]]
    inside = [int(counts.get(label, 0)) for label in marks]
    return Histogram(tuple(marks), (*inside, sum(counts.values()) - sum(inside)), unknown)


def _edges(known: FloatArray) -> FloatArray:
    """All distinct values, or BINS quantiles (which are existing values)."""
    distinct = np.unique(known)
    if len(distinct) > BINS:
        distinct = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:], method="inverted_cdf"))
    return np.asarray(distinct, np.float64)


def psi(reference: Histogram, other: Histogram) -> tuple[float, float]:
    """(PSI, the largest value by chance) of two histograms with the same marks; unknown values are a bin."""
    parts = [_grouped(each, _groups(reference)) for each in (reference, other)]
    used = (parts[0] + parts[1]) > 0
    p, q = (np.maximum(part[used], HALF) / max(part.sum(), 1) for part in parts)
    noise = (1 / max(reference.total, 1) + 1 / max(other.total, 1)) * chi2.ppf(1 - CHANCE, max(int(used.sum()) - 1, 1))
    return float(((p - q) * np.log(p / q)).sum()), float(noise)


def ks(reference: Histogram, other: Histogram) -> tuple[float, float]:
    """(KS distance at the marks, the largest value by chance) of two histograms of numbers."""
    n, m = max(reference.known, 1), max(other.known, 1)
    apart = np.abs(np.cumsum(reference.counts) / n - np.cumsum(other.counts) / m)
    return float(apart.max(initial=0.0)), float(np.sqrt(-np.log(CHANCE / 2) / 2 * (1 / n + 1 / m)))


@dataclass(frozen=True)
class HistogramDistance:
    """The distance of two histograms: PSI, and the share of values that moved to other bins (for numbers the KS
    distance, for labels the total variation distance; unknown values are one more bin).

    least_psi, least_moved: their lower limits; values: effective number of independent values of the later one.
    """

    psi: float
    least_psi: float
    moved: float
    least_moved: float
    values: float


def apart(reference: Histogram, other: Histogram, independent: float) -> HistogramDistance:
    """The distance of two histograms with the same marks, with lower limits.

    Args:
        reference: The earlier histogram.
        other: The later one.
        independent: Effective number of independent values in `other`, see `effective`; proportionally as many are
            assumed for the reference.

    Returns:
        The distance at these sample sizes, with lower 99% limits; deterministic.
    """
    n = max(min(float(other.total), independent), 1.0)
    m = max(reference.total * n / max(other.total, 1), 1.0)
    shares = [_shares(each) for each in (reference, other)]
    groups = np.append(_groups(reference), int(_groups(reference).max(initial=0)) + 1)
    labels = bool(reference.marks) and isinstance(reference.marks[0], str)
    rng = np.random.default_rng(0)
    drawn = [rng.multinomial(round(size), part, DRAWS) / round(size) for size, part in zip((m, n), shares, strict=True)]
    figures = []
    for p, q in ([part[None] for part in shares], drawn):
        figures.append((_psi_of(p @ _indicator(groups), q @ _indicator(groups), m, n), _moved_of(p, q, labels)))
    (psi_now, moved_now), (psi_drawn, moved_drawn) = figures
    return HistogramDistance(
        float(psi_now[0]), _least(psi_now[0], psi_drawn), float(moved_now[0]), _least(moved_now[0], moved_drawn), n
    )


def effective(owners: IntArray) -> float:
    """Kish's effective sample size of values by their owners: [n] user indices."""
    counts = np.unique(owners, return_counts=True)[1].astype(np.float64)
    return float(counts.sum() ** 2 / max((counts**2).sum(), 1.0))


def _shares(spread: Histogram) -> FloatArray:
    counts = np.array([*spread.counts, spread.unknown], np.float64)
    return np.asarray(counts / max(counts.sum(), 1.0), np.float64)


def _indicator(groups: IntArray) -> FloatArray:
    placed: FloatArray = np.eye(int(groups.max()) + 1)[groups]
    return placed


def _psi_of(p: FloatArray, q: FloatArray, m: float, n: float) -> FloatArray:
    """[rows] PSI of rows of shares; an empty bin of one side counts as half a value."""
    used = (p + q) > 0
    p, q = np.maximum(p, HALF / m), np.maximum(q, HALF / n)
    figure: FloatArray = np.where(used, (p - q) * np.log(p / q), 0.0).sum(axis=1)
    return figure


def _moved_of(p: FloatArray, q: FloatArray, labels: bool) -> FloatArray:
    """[rows] share of values that moved to other bins."""
    apart_by = np.abs(p - q).sum(axis=1) / 2 if labels else np.abs(np.cumsum(p - q, axis=1)).max(axis=1)
    return np.asarray(apart_by, np.float64)


def _least(figure: float, drawn: FloatArray) -> float:
    return float(np.quantile(drawn, 1 - SURE) - 2 * max(float(drawn.mean()) - figure, 0.0))


def _groups(reference: Histogram) -> IntArray:
    """The group of each bin of the reference: a group per label, deciles for numbers."""
    counts = np.asarray(reference.counts, np.float64)
    if not reference.marks or isinstance(reference.marks[0], str):
        return np.arange(len(counts), dtype=np.int64)
    middle = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
    groups: IntArray = np.minimum((middle * GROUPS).astype(np.int64), GROUPS - 1)
    return groups


def _grouped(spread: Histogram, groups: IntArray) -> FloatArray:
    return np.append(np.bincount(groups, spread.counts, int(groups.max(initial=0)) + 1), float(spread.unknown))
