"""Nearest items by content: a graph over 8-bit vectors proposes, the exact cosine decides.

Source: Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
World graphs", TPAMI 2020, in usearch's implementation; chosen by benchmarks.speed.vector_index. The file is mapped. Memory:
about 530 bytes an item of 384 numbers. Time: two to three milliseconds a question at 100,000 items, where reading all
vectors takes thirteen; building takes 0.7 ms an item, on one thread so that equal vectors give equal bytes.
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
DEPTH = 2  # found for each that is asked for: 8-bit cosines put close ones in the wrong order

Best = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


def build(vectors: npt.NDArray[np.float32], settings: Mapping[str, int], path: Path) -> None:
    """Write the graph over vectors [n, d]; settings: connectivity, expansion_add."""
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
    """vectors: [n, d] of unit length or zero; graph: usearch's; changed: ascending rows whose vectors are newer than
    the graph, which are compared one by one."""

    vectors: npt.NDArray[np.float32]
    graph: Any
    changed: IntArray
    changed_vectors: npt.NDArray[np.float32]

    @classmethod
    def open(cls, path: Path, vectors: npt.NDArray[np.float32], changed: IntArray, expansion: int) -> Nearest | None:
        """expansion: nodes of the graph kept in view; more finds more, and takes longer. None where there is no file
        or usearch is not installed: then all vectors are read, which answers the same but for what a graph misses."""
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
        """[≤ k] items nearest a vector [d], best first, and their cosines. without: items left out, each once;
        hidden: [n] more of them; where they leave too few of what the graph finds, all vectors are read."""
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
