"""Candidates: the union of every member's best items for each history, with their scores and ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.models.protocol import Scores

HIDDEN = np.float32(-np.inf)


@dataclass(frozen=True)
class Candidates:
    """Pairs of (row, item), rows ascending, items ascending in a row.

    rows, items: int32 [p]; scores, ranks: float32 [p, members] (rank 0 is best; the cut-off stands for all beyond it);
    best: float32 [n, members] each member's best score in a row.
    """

    rows: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    ranks: npt.NDArray[np.float32]
    best: npt.NDArray[np.float32]


def top_items(scores: Scores, k: int) -> npt.NDArray[np.int32]:
    """[n, k] items of the highest scores, best first, ties to the lower index (so that lists repeat exactly)."""
    k = min(k, scores.shape[1])
    edge = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k][:, None]
    picked = np.empty((len(scores), k), np.int32)
    for row in range(len(scores)):
        above = np.flatnonzero(scores[row] > edge[row])
        level = np.flatnonzero(scores[row] == edge[row])[: k - len(above)]
        pool = np.concatenate([above, level])
        picked[row] = pool[np.lexsort((pool, -scores[row, pool]))]
    return picked


def gather(members: list[Scores], cutoff: int) -> Candidates:
    """Candidates of member score matrices [n, n_items]; items scored -inf are never taken."""
    n, n_items = members[0].shape
    cutoff = min(cutoff, n_items)
    ranks = [np.full((n, n_items), cutoff, np.float32) for _ in members]
    taken = np.zeros((n, n_items), bool)
    best = np.zeros((n, len(members)), np.float32)
    line = np.arange(cutoff, dtype=np.float32)[None, :]
    for at, scores in enumerate(members):
        top = top_items(scores, cutoff)
        np.put_along_axis(ranks[at], top, np.broadcast_to(line, top.shape), axis=1)
        values = np.take_along_axis(scores, top, axis=1)
        # A member that knows nothing of a history scores all items 0: its order is no evidence.
        informed = values > np.min(np.where(np.isfinite(scores), scores, np.inf), axis=1, keepdims=True)
        np.put_along_axis(taken, top, np.take_along_axis(taken, top, axis=1) | (informed & np.isfinite(values)), axis=1)
        best[:, at] = np.where(np.isfinite(values[:, 0]), values[:, 0], 0.0)
    rows, items = np.nonzero(taken)
    return Candidates(
        rows.astype(np.int32),
        items.astype(np.int32),
        np.stack([scores[rows, items] for scores in members], axis=1),
        np.stack([rank[rows, items] for rank in ranks], axis=1),
        best,
    )
