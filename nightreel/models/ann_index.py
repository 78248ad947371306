"""Approximate nearest-neighbour search by content: HNSW over 8-bit vectors, then exact cosines of what it finds.

Source: Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
World graphs", TPAMI 2020, in usearch's implementation; see benchmarks.speed.vector_index.
Memory: about 530 bytes an item of 384 dimensions, memory-mapped. Time: two to three milliseconds a query at 100,000
items, where exact search takes thirteen; building takes 0.7 ms an item, on one thread so that equal vectors give equal
bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nightreel.data.histories import IntArray
from nightreel.models.top_k import top_items

FILE = "vectors.usearch"
DEPTH = 2  # items retrieved for each one returned, because 8-bit cosines can swap close ones

Best = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


def build(vectors: npt.NDArray[np.float32], settings: Mapping[str, int], path: Path) -> None:
    """Build and save the index of vectors [n, d]. settings: connectivity, expansion_add."""
    from usearch.index import Index

    graph = Index(
        ndim=vectors.shape[1],
        metric="ip",
        dtype="i8",
        connectivity=settings["connectivity"],
        expansion_add=settings["expansion_add"],
        enable_key_lookups=False,
    )
    graph.add(np.arange(len(vectors), dtype=np.uint64), vectors, threads=1)
    graph.save(str(path))


@dataclass(frozen=True, eq=False)
class Nearest:
    """An open index.

    Attributes:
        vectors: [n, d] of unit length or zero.
        graph: usearch's index.
        changed: Rows, ascending, whose vectors are newer than the graph; they are compared exactly.
        changed_vectors: Their vectors.
    """

    vectors: npt.NDArray[np.float32]
    graph: Any
    changed: IntArray
    changed_vectors: npt.NDArray[np.float32]

    @classmethod
    def open(cls, path: Path, vectors: npt.NDArray[np.float32], changed: IntArray, expansion: int) -> Nearest | None:
        """Open an index; None without a file or usearch, where exact search is used instead.

        Args:
            path: Of the graph.
            vectors: [n, d] of unit length or zero.
            changed: Rows, ascending, whose vectors are newer than the graph.
            expansion: Candidate nodes of a search; more improves recall and takes longer.
        """
        if not path.exists():
            return None
        try:
            from usearch.index import Index
        except ImportError:
            return None
        graph: Any = Index.restore(str(path), view=True, enable_key_lookups=False)
        graph.expansion_search = expansion
        return cls(vectors, graph, changed, vectors[changed])

    def best(self, query: npt.NDArray[np.float32], k: int, without: IntArray, hidden: npt.NDArray[np.bool_]) -> Best:
        """Find the items nearest to a vector. Falls back to exact search where too many of the found items are left
        out.

        Args:
            query: [d] of unit length.
            k: Number of items.
            without: Items left out, without duplicates.
            hidden: [n] further items left out.

        Returns:
            At most k items, best first, and their cosines.
        """
        found = self.graph.search(query, DEPTH * k + len(without), threads=1).keys.astype(np.int64)
        out = hidden.copy()
        out[without] = True
        shown = ~out[self.changed]
        out[self.changed] = True
        found = found[~out[found]]
        if len(found) + int(shown.sum()) < k:
            return self._exact(query, k, without, hidden)
        items = np.concatenate([found, self.changed[shown]])
        scores = np.concatenate([self.vectors[found] @ query, self.changed_vectors[shown] @ query])
        order = np.lexsort((items, -scores))[:k]
        return items[order].astype(np.int32), scores[order]

    def _exact(self, query: npt.NDArray[np.float32], k: int, without: IntArray, hidden: npt.NDArray[np.bool_]) -> Best:
        scores = self.vectors @ query
        scores[hidden] = -np.inf
        scores[without] = -np.inf
        items = top_items(scores[None], k)[0]
        items = items[np.isfinite(scores[items])]
        return items, scores[items]
