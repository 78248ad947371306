"""How good predicted tags are: precision of the first, F1, mean average precision, calibration."""

from __future__ import annotations

import numpy as np

from tasks.understanding.one_vs_rest import Array, Flags

BINS = 10


def quality(scores: Array, given: Flags, labels: Flags) -> dict[str, float]:
    """Of scores [n, labels] (higher is likelier), tags that would be given, and the true labels.

    `precision@1`: share of items whose best label is true; `f1_micro`, `f1_macro`: over all, and averaged over labels;
    `map`: average precision of each label's ranking of the items, averaged over labels; `tagged`: share of items with
    a tag. Averages over labels take those that some item has.
    """
    seen = labels.any(0)
    first = labels[np.arange(len(labels)), scores.argmax(1)]
    hits, sizes = (given & labels).sum(0), given.sum(0) + labels.sum(0)
    each = [average_precision(scores[:, label], labels[:, label]) for label in np.flatnonzero(seen)]
    found = {
        "precision@1": first.mean(), "f1_micro": 2 * hits.sum() / max(1, sizes.sum()),
        "f1_macro": (2 * hits / np.maximum(1, sizes))[seen].mean(), "map": np.mean(each), "tagged": given.any(1).mean(),
    }  # fmt: skip
    return {name: round(float(value), 6) for name, value in found.items()}


def average_precision(scores: Array, true: Flags) -> float:
    """Mean of the precision at each true item's place, equal scores sharing the last place of theirs; scikit-learn's
    figure without its import, which costs more than all of this. scores, true: [n], at least one of them true."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(true[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    gained = np.diff(hits[last], prepend=0)
    return float((gained * hits[last] / (np.flatnonzero(last) + 1)).sum() / hits[-1])


def first_only(scores: Array) -> Flags:
    """Each item's best label alone: what a method without a threshold would give."""
    given = np.zeros(scores.shape, bool)
    given[np.arange(len(scores)), scores.argmax(1)] = True
    return given


def calibration_error(probabilities: Array, labels: Flags) -> float:
    """Expected calibration error over ten bins of equal width, all labels together (Naeini et al. 2015)."""
    flat, true = probabilities.ravel(), labels.ravel()
    at = np.minimum((flat * BINS).astype(int), BINS - 1)
    gaps = np.bincount(at, flat - true, BINS)
    return round(float(np.abs(gaps).sum() / len(flat)), 6)
