"""Cache of text vectors in the state directory, so that only new and changed texts are encoded.

A cache belongs to one encoder in one environment (its fingerprint). It is a folder of shards that are renamed into
place: a killed run leaves complete shards, two runs may add at once (only merging locks readers out), and a damaged
shard is detected and skipped. Memory: 8 bytes per stored vector, and the texts of one request.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from nightreel.content.cache.shards import Shard, heads_of, merge, open_shard, write_shard
from nightreel.content.encoders.base import Report, TextEncoder, Vectors
from nightreel.content.progress import Progress

SHARD_ROWS = 4096
"""Number of vectors after which a shard is written, so that a killed run keeps its work."""
MOST_ENCODERS = 8
"""Number of encoders whose caches are kept."""
MOST_SHARDS = 32
"""Maximum number of shards before they are merged: a nightly run adds a small one."""


@dataclass(frozen=True)
class Tally:
    """Counts of distinct encoded texts, and of items in total, from the cache, and without text."""

    encoded: int = 0
    items: int = 0
    cached: int = 0
    empty: int = 0

    def line(self) -> str:
        """A line for the log."""
        empty = f", {self.empty:,} without text" if self.empty else ""
        return f"encoded {self.encoded:,} of {self.items:,} items; {self.cached:,} from cache{empty}"

    def __add__(self, other: Tally) -> Tally:
        mine, theirs = vars(self), vars(other)
        return Tally(**{name: mine[name] + theirs[name] for name in mine})


def key_of(text: str) -> bytes:
    """The text's key: sha256 in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest().encode()


class VectorCache:
    """One encoder's vectors below `root/<its fingerprint>`; a context manager, which closes its files.

    tally: counts of all requests so far.
    """

    def __init__(self, encoder: TextEncoder, root: Path) -> None:
        self.encoder, self.folder = encoder, root / encoder.fingerprint()
        forget_old(root, self.folder)
        self.shards = open_shards(self.folder, encoder.dim)
        self.tally = Tally()

    def vectors(self, texts: Sequence[str], report: Report | None = None) -> Vectors:
        """[n, dim] vectors in the order of texts, zero for empty ones. New vectors are stored before they are
        returned; report: as for the encoder."""
        vectors = np.zeros((len(texts), self.encoder.dim), np.float32)
        keys = {at: key_of(text) for at, text in enumerate(texts) if text}
        cached = len(keys)
        known = self.find(list(keys.values()))
        todo = {key: texts[at] for at, key in keys.items() if key not in known}
        fresh = self._encode(todo, report)
        for at, key in keys.items():
            cached -= key in fresh
            vectors[at] = fresh[key] if key in fresh else known[key]
        self.tally += Tally(len(fresh), len(texts), cached, len(texts) - len(keys))
        return vectors

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Stored vectors of these keys."""
        heads, found = heads_of(keys), {}
        for shard in self.shards:
            rows = shard.search(heads)
            for at in np.flatnonzero(rows >= 0):
                key, vector = shard[int(rows[at])]
                found[key] = vector
        return found

    def _encode(self, todo: dict[bytes, str], report: Report | None) -> dict[bytes, Vectors]:
        """Encode the texts; writes shards in between."""
        keys = list(todo)
        fresh: dict[bytes, Vectors] = {}
        waiting: dict[bytes, Vectors] = {}
        for rows, block in self.encoder.blocks(list(todo.values()), report) if todo else ():
            waiting.update(zip((keys[row] for row in rows), block, strict=True))
            if len(waiting) >= SHARD_ROWS:
                fresh |= waiting
                self._keep(waiting)
                waiting = {}
        if waiting:
            self._keep(waiting)
        return fresh | waiting

    def _keep(self, rows: dict[bytes, Vectors]) -> None:
        if shard := open_shard(self.folder / write_shard(self.folder, rows), self.encoder.dim):
            self.shards.append(shard)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for shard in self.shards:
            shard.file.close()


def encode_cached(encoder: TextEncoder, texts: Sequence[str], root: Path) -> tuple[Vectors, Tally]:
    """[n, dim] vectors of all texts at once; root: folder of all encoders' caches."""
    with VectorCache(encoder, root) as cache:
        vectors = cache.vectors(texts, Progress("items encoded", len(texts)))
        return vectors, cache.tally


def forget_old(root: Path, used: Path) -> None:
    """Remove the least recently used caches: an encoder that is fine-tuned is a new one every night."""
    used.mkdir(parents=True, exist_ok=True)
    os.utime(used)
    caches = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in caches[:-MOST_ENCODERS]:
        shutil.rmtree(path, ignore_errors=True)


def open_shards(folder: Path, dim: int) -> list[Shard]:
    """All valid shards of a cache; merges them if there are many."""
    with _locked(folder, fcntl.LOCK_SH):
        shards = _opened(folder, dim)
    if len(shards) > MOST_SHARDS:
        with _locked(folder, fcntl.LOCK_EX):
            shards = _opened(folder, dim)
            if len(shards) > 1:
                merged = merge(folder, list(shards.values()), dim)
                for path in shards.keys() - {folder / merged}:
                    path.unlink(missing_ok=True)
                shards = _opened(folder, dim)
    return list(shards.values())


def _opened(folder: Path, dim: int) -> dict[Path, Shard]:
    opened = ((path, open_shard(path, dim)) for path in sorted(folder.glob("*.npy")))
    return {path: shard for path, shard in opened if shard is not None}


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    """Hold the folder's lock. During a merge, a listing could miss a row both in the old shard and in the new one."""
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, mode)  # released by the kernel, also when the process is killed
        yield
