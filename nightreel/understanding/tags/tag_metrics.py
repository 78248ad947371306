"""Metrics of predicted tags: precision@1, F1, mean average precision, calibration."""

from __future__ import annotations

import numpy as np

from nightreel.understanding.tags.one_vs_rest import Array, Flags

BINS = 10


class Quality:
    """Metrics of the scores of n items for all labels, accumulated label by label: only sums are kept.

    least: threshold from which a tag is assigned; None: only each item's best label, for a method without a threshold.
    """

    def __init__(self, n: int, least: float | None = None) -> None:
        self.least, self.labels = least, 0
        self.best, self.first, self.right = np.full(n, -np.inf), np.zeros(n, int), np.zeros(n, bool)
        self.tagged = np.full(n, least is None)
        self.hits, self.given, self.true, self.ranked = ([np.empty(0)] for _ in range(4))

    def add(self, scores: Array, flags: Flags) -> None:
        """Add scores [n, labels] of the next labels (higher is likelier), and the true flags."""
        at = scores.argmax(1)
        better = np.flatnonzero(scores.max(1) > self.best)
        at = at[better]
        self.best[better], self.right[better] = scores[better, at], flags[better, at]
        self.first[better] = at + self.labels
        if self.least is not None:
            given = scores >= self.least
            self.tagged |= given.any(1)
            self.hits.append((given & flags).sum(0))
            self.given.append(given.sum(0))
        self.true.append(flags.sum(0))
        each = [average_precision(scores[:, label], flags[:, label]) for label in np.flatnonzero(flags.any(0))]
        self.ranked.append(np.array(each))
        self.labels += scores.shape[1]

    def facts(self) -> dict[str, float]:
        """`precision@1`: share of items whose best label is true; `f1_micro`, `f1_macro`: over all, and averaged
        over labels; `map`: average precision of each label's ranking of the items, averaged over labels;
        `tagged`: share of items with a tag. Averages over labels are over those that some item has."""
        hits, given, true, ranked = map(np.concatenate, (self.hits, self.given, self.true, self.ranked))
        if self.least is None:
            hits, given = (
                np.bincount(each, minlength=self.labels).astype(float) for each in (self.first[self.right], self.first)
            )
        f1, sizes = 2 * hits / np.maximum(1, given + true), given + true
        found = {
            "precision@1": self.right.mean(),
            "f1_micro": 2 * hits.sum() / max(1, sizes.sum()),
            "f1_macro": f1[true > 0].mean(),
            "map": ranked.mean(),
            "tagged": self.tagged.mean(),
        }
        return {name: round(float(value), 6) for name, value in found.items()}


def average_precision(scores: Array, true: Flags) -> float:
    """Mean of the precision at each true item's rank; equal scores share the last rank of theirs. The same as
    scikit-learn's, without its import, which takes longer than all of this. scores, true: [n], at least one of
    them true."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(true[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    gained = np.diff(hits[last], prepend=0)
    return float((gained * hits[last] / (np.flatnonzero(last) + 1)).sum() / hits[-1])


def calibration_error(probabilities: Array, labels: Flags) -> float:
    """Expected calibration error over ten bins of equal width, all labels together (Naeini et al. 2015)."""
    return round(float(np.abs(calibration_gaps(probabilities, labels)).sum() / labels.size), 6)


def calibration_gaps(probabilities: Array, labels: Flags) -> Array:
    """[10] sum of probabilities minus true labels in each bin."""
    flat, true = probabilities.ravel(), labels.ravel()
    at = np.minimum((flat * BINS).astype(int), BINS - 1)
    gaps: Array = np.bincount(at, flat - true, BINS).astype(float)
    return gaps
