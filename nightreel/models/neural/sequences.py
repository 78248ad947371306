"""Histories as inputs of a sequence model: windows of events, time gaps, batches with little padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.factorization.truncated_svd import leading

Index = npt.NDArray[np.int64]
Batch = tuple[Index, npt.NDArray[np.bool_]]
GAPS = 32  # buckets: 0 for a first event, then powers of two seconds, the last for 2^30 seconds and more
POOL = 512  # windows that are sorted by length together: little padding, and batches still vary


def gap_buckets(histories: Histories, clock: bool) -> Index:
    """[nnz] bucket of the time since the row's previous event, below GAPS; 0 for first events and without a clock."""
    buckets = np.zeros(len(histories.items), np.int64)
    if clock and len(buckets):
        gap = np.maximum(np.diff(histories.times, prepend=histories.times[:1]), 0.0)
        buckets[:] = 1 + np.minimum(np.floor(np.log2(1.0 + gap)), GAPS - 2)
        buckets[histories.indptr[:-1][histories.lengths > 0]] = 0
    return buckets


def windows(histories: Histories, width: int, generator: np.random.Generator, most: int = 0) -> Index:
    """Cut histories into windows, at positions that vary from call to call. Rows with one event have none.

    Consecutive windows of a row share one event: the last target of one and the first input of the next.

    Args:
        histories: Training histories.
        width: Number of inputs in a window, at most.
        generator: Draws the positions and the order.
        most: Maximum number of windows of a row, sampled at random, so that long histories don't outweigh the others;
            0: all.

    Returns:
        [w, 2] start and end (exclusive) of each window, of at most width + 1 events, in shuffled order.
    """
    spans = []
    starts, ends = histories.indptr[:-1], histories.indptr[1:]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start < 2:
            continue
        first = end if end - start <= width + 1 else end - int(generator.integers(0, width))
        cuts = [*range(first, start + 1, -width), *([end] if first < end else [])]
        if 0 < most < len(cuts):
            cuts = [cuts[at] for at in generator.choice(len(cuts), most, replace=False)]
        spans += [(max(start, cut - width - 1), cut) for cut in cuts]
    shuffled = np.array(spans, np.int64).reshape(-1, 2)
    return shuffled[generator.permutation(len(shuffled))]


def batches(spans: Index, tokens: int, generator: np.random.Generator) -> Iterator[Batch]:
    """Combine windows into batches of similar length.

    Args:
        spans: From `windows`.
        tokens: Maximum number of positions in a batch, with padding.
        generator: Shuffles the batches.

    Yields:
        Indices [rows, length] of the input events, and which positions are not padding. The target of the input at e is
        the event at e + 1. Padding is at the end of a row, and points to event 0.
    """
    for pool in range(0, len(spans), POOL):
        part = spans[pool : pool + POOL]
        part = part[np.argsort(part[:, 1] - part[:, 0], kind="stable")]
        groups, first = [], 0
        for row, (start, end) in enumerate(part.tolist()):
            if row > first and (row - first + 1) * (end - start - 1) > tokens:
                groups.append(part[first:row])
                first = row
        groups.append(part[first:])
        for at in generator.permutation(len(groups)):
            yield padded(groups[at])


def padded(spans: Index) -> Batch:
    """One batch of windows; the last event of each is left out, because it is only a target."""
    lengths = spans[:, 1] - spans[:, 0] - 1
    places = np.arange(int(lengths.max()))[None, :]
    real = places < lengths[:, None]
    return np.where(real, spans[:, :1] + places, 0), real


def neighbourhood_factors(train: Histories, n_items: int, width: int) -> npt.NDArray[np.float32]:
    """[n_items, width] vectors of unit variance that are similar for items consumed close to each other.

    They are the leading factors of the positive pointwise mutual information of items at most ten events apart.
    Columns are zero where the data have fewer factors.

    Source: Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", NeurIPS 2014.
    """
    reach, fading = 10, 5.0
    end, event = np.repeat(train.indptr[1:], train.lengths), np.arange(len(train.items))
    near = sp.csr_matrix((n_items, n_items))
    for offset in range(1, reach + 1):
        before = event[event + offset < end]
        weight = np.full(len(before), np.exp(-(offset - 1) / fading))
        near += sp.csr_matrix((weight, (train.items[before], train.items[before + offset])), shape=near.shape)
    near = (near + near.T).tocoo()
    total = np.asarray(near.sum(axis=1)).ravel()
    information = np.log(near.data * total.sum() / (total[near.row] * total[near.col]))
    kept = information > 0
    vectors = np.zeros((n_items, width), np.float32)
    rank = min(width, n_items - 1, int(kept.sum()))
    if rank < 1:
        return vectors
    positive = sp.csr_matrix((information[kept], (near.row[kept], near.col[kept])), shape=near.shape)
    factors, strength = leading(positive, rank)
    vectors[:, :rank] = factors * np.sqrt(strength)
    return vectors / max(float(vectors.std()), 1e-9)
