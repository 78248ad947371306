"""Comparison of vector indexes: recall, speed, size, and whether two builds are identical.

    python -m benchmarks.speed.vector_index                        # 100,000 synthetic vectors x 384
    python -m benchmarks.speed.vector_index --vectors vectors.npy  # an encoder's, for instance a bundle's
    pip install faiss-cpu hnswlib                            # the peers; those not installed are left out

One thread, CPU time. Queries are items and, as in content kNN, recency-weighted means of 50 items. Where a library
stores compressed vectors, twice as many results are retrieved and ordered by their exact cosines.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.speed.made_up_bundle import unit_vectors
from benchmarks.speed.reading import ONE_CORE
from nightreel.data.histories import IntArray
from nightreel.models import ann_index
from nightreel.settings.params_file import load

Vectors = npt.NDArray[np.float32]
Search = Callable[[Vectors, int], IntArray]
QUESTIONS, EVENTS, DECAY, LISTED, CANDIDATES = 200, 50, 5.0, 10, 100


@dataclass(frozen=True)
class Made:
    """An index in a file: with which settings it is searched."""

    name: str
    built_s: float
    path: Path
    searches: dict[str, Search]


def exactly(vectors: Vectors, folder: Path) -> Made:
    """All vectors."""
    np.save(folder / "exact.npy", vectors)
    whole = np.load(folder / "exact.npy", mmap_mode="r")
    return Made("numpy, every vector", 0.0, folder / "exact.npy", {"": lambda q, k: best(whole @ q, k)})


def by_usearch(vectors: Vectors, folder: Path) -> Made:
    """As a version has it."""
    settings, path, none = load().finetune.vector_index.model_dump(), folder / "u.usearch", np.empty(0, np.int64)
    began = time.process_time()
    ann_index.build(vectors, settings, path)
    spent, shown = time.process_time() - began, np.zeros(len(vectors), np.bool_)
    searches: dict[str, Search] = {}
    for expansion in sorted({128, 256, 512, settings["expansion_search"]}):
        index = ann_index.Nearest.open(path, vectors, none, expansion)
        if index is not None:
            searches[f"expansion {expansion}"] = partial(_found, index, none, shown)
    return Made("usearch, HNSW int8", spent, path, searches)


def _found(index: ann_index.Nearest, none: IntArray, shown: npt.NDArray[np.bool_], q: Vectors, k: int) -> IntArray:
    return np.asarray(index.best(q, k, none, shown)[0], np.int64)


def by_hnswlib(vectors: Vectors, folder: Path) -> Made:
    """float32: nothing has to be compared again."""
    import hnswlib

    began = time.process_time()
    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=16, ef_construction=256, random_seed=1)
    index.add_items(vectors, num_threads=1)
    spent = time.process_time() - began
    index.save_index(str(folder / "h.bin"))

    def search(ef: int, q: Vectors, k: int) -> IntArray:
        index.set_ef(ef)
        return np.asarray(index.knn_query(q[None], k, num_threads=1)[0][0], np.int64)

    searches: dict[str, Search] = {f"ef {ef}": partial(search, ef) for ef in (128, 256, 512)}
    return Made("hnswlib, HNSW float32", spent, folder / "h.bin", searches)


def by_faiss(vectors: Vectors, folder: Path) -> Made:
    """Inverted lists over 8-bit numbers, mapped."""
    import faiss

    faiss.omp_set_num_threads(1)
    began, lists = time.process_time(), int(4 * len(vectors) ** 0.5)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], lists, faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )  # fmt: skip
    index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = 1, 10, 64
    index.train(vectors)
    index.add(vectors)
    spent = time.process_time() - began
    faiss.write_index(index, str(folder / "f.faiss"))
    mapped = faiss.read_index(str(folder / "f.faiss"), faiss.IO_FLAG_MMAP)

    def search(probes: int, q: Vectors, k: int) -> IntArray:
        mapped.nprobe = probes
        found = mapped.search(q[None], 2 * k)[1][0]
        found = found[found >= 0]
        return np.asarray(found[best(vectors[found] @ q, k)], np.int64)

    searches: dict[str, Search] = {f"probes {p}": partial(search, p) for p in (32, 128, 256)}
    return Made(f"faiss, IVF{lists} int8", spent, folder / "f.faiss", searches)


def best(scores: Vectors, k: int) -> IntArray:
    """[k] places of the highest scores, in any order."""
    return np.argpartition(-scores, min(k, len(scores) - 1))[:k]


def questions(vectors: Vectors) -> dict[str, Vectors]:
    """[QUESTIONS, d] of each kind."""
    rng = np.random.default_rng(1)
    items = vectors[rng.integers(0, len(vectors), QUESTIONS)]
    weights = np.exp(-np.arange(EVENTS) / DECAY).astype(np.float32)
    means = np.stack([weights @ vectors[rng.integers(0, len(vectors), EVENTS)] for _ in range(QUESTIONS)])
    return {"item": items, "history": means / np.linalg.norm(means, axis=1, keepdims=True)}


def rows(vectors: Vectors, made: Made, again: bool) -> Iterator[list[str]]:
    """A line a setting. again: whether another build had the same bytes."""
    for setting, search in made.searches.items():
        cells = []
        for kind, k in (("item", LISTED), ("history", CANDIDATES)):
            shares, spent = [], []
            for query in questions(vectors)[kind]:
                began = time.process_time()
                found = search(query, k)
                spent.append(1000 * (time.process_time() - began))
                wanted = set(best(vectors @ query, k).tolist())
                shares.append(len(wanted & set(found.tolist())) / k)
            cells += [f"{np.mean(shares):.4f}", f"{np.median(spent):.2f}"]
        size = f"{made.path.stat().st_size / 1e6:.0f}"
        yield [made.name, setting, *cells, f"{made.built_s:.0f}", size, "yes" if again else "no"]


MAKERS = {"numpy": exactly, "usearch": by_usearch, "faiss": by_faiss, "hnswlib": by_hnswlib}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--vectors", type=Path, help="float32 [n, d] of unit length, as .npy")
    parser.add_argument("--libraries", nargs="+", choices=[*MAKERS], default=[*MAKERS], help="default: all of them")
    parser.add_argument("--twice", action="store_true", help="build each index twice, and compare the bytes")
    asked = parser.parse_args()
    if not ONE_CORE.items() <= os.environ.items():  # numpy reads them when it is imported: begin anew
        os.execve(
            sys.executable,
            [sys.executable, "-m", "benchmarks.speed.vector_index", *sys.argv[1:]],
            os.environ | ONE_CORE,
        )
    given = np.load(asked.vectors)[: asked.items] if asked.vectors else None
    vectors = unit_vectors(asked.items, 384, np.random.default_rng(0)) if given is None else np.ascontiguousarray(given)
    table = Table(title=f"{len(vectors):,} vectors x {vectors.shape[1]}, one thread", title_justify="left")
    for name in ("index", "searched with", f"item: recall@{LISTED}", "ms", f"history: recall@{CANDIDATES}", "ms",
                 "built s", "MB", "same bytes"):  # fmt: skip
        table.add_column(name, justify="left" if name in ("index", "searched with") else "right")
    with tempfile.TemporaryDirectory(prefix="nightreel-index-") as scratch:
        for library, make in MAKERS.items():
            if library not in asked.libraries or find_spec(library) is None:
                continue
            folders = [Path(scratch) / f"{library}{turn}" for turn in range(1 + asked.twice)]
            for folder in folders:
                folder.mkdir()
            made = [make(vectors, folder) for folder in folders]
            again = made[0].path.read_bytes() == made[-1].path.read_bytes()
            for row in rows(vectors, made[0], again):
                print("  ".join(row[:-1]), flush=True)  # a million take an hour
                table.add_row(*(row if asked.twice else [*row[:-1], ""]))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
