"""Vectors of texts that were encoded before, kept in the state directory: only new and changed texts are encoded.

A cache belongs to one encoder in one environment (its fingerprint). It is a folder of shards, each a .npy of
(key, vector) named by the hash of its content and put in place by a rename: a killed run leaves whole shards, two runs
may add at once (only merging locks readers out), and a shard that was damaged is noticed and left out.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.content.progress import Progress
from tasks.content.text_encoder import TextEncoder, Vectors
from tasks.stage import say

SHARD_ROWS = 4096
"""Vectors after which a shard is written, so that a killed run keeps its work."""
MOST_ENCODERS = 8
"""Encoders whose caches are kept."""
MOST_SHARDS = 32
"""Shards beyond this many are merged into one: a nightly run adds a small one."""


@dataclass(frozen=True)
class Tally:
    """How many distinct texts were encoded, and how many items there are in all, from the cache, and empty."""

    encoded: int
    items: int
    cached: int
    empty: int

    def line(self) -> str:
        """For the log."""
        empty = f", {self.empty:,} without text" if self.empty else ""
        return f"encoded {self.encoded:,} of {self.items:,} items; {self.cached:,} from cache{empty}"


def key_of(text: str) -> bytes:
    """The text's key: sha256 in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest().encode()


def encode_cached(encoder: TextEncoder, texts: Sequence[str], root: Path) -> tuple[Vectors, Tally]:
    """[n, dim] vectors in the order of texts, empty ones zero; root: the folder that holds every encoder's cache."""
    folder = root / encoder.fingerprint()
    known = read_cache(folder, encoder.dim)
    keys = [key_of(text) for text in texts]
    todo = {key: text for key, text in zip(keys, texts, strict=True) if text and key not in known}
    known.update(_encode(encoder, todo, folder))
    forget_old(root, folder)
    vectors = np.zeros((len(texts), encoder.dim), np.float32)
    for row, (key, text) in enumerate(zip(keys, texts, strict=True)):
        if text:
            vectors[row] = known[key]
    empty = sum(not text for text in texts)
    fresh = sum(key in todo for key in keys)
    return vectors, Tally(len(todo), len(texts), len(texts) - fresh - empty, empty)


def forget_old(root: Path, used: Path) -> None:
    """Drop the caches of the encoders that were used longest ago: one fitted to behaviour differs every night."""
    used.mkdir(parents=True, exist_ok=True)
    os.utime(used)
    caches = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in caches[:-MOST_ENCODERS]:
        shutil.rmtree(path, ignore_errors=True)


def _encode(encoder: TextEncoder, todo: dict[bytes, str], folder: Path) -> dict[bytes, Vectors]:
    """Encode the texts, writing shards on the way."""
    keys = list(todo)
    fresh: dict[bytes, Vectors] = {}
    waiting: dict[bytes, Vectors] = {}
    for rows, block in encoder.blocks(list(todo.values()), Progress("encoded", len(todo))):
        waiting.update(zip((keys[row] for row in rows), block, strict=True))
        if len(waiting) >= SHARD_ROWS:
            fresh.update(waiting)
            write_shard(folder, waiting)
            waiting = {}
    if waiting:
        write_shard(folder, waiting)
    return fresh | waiting


def read_cache(folder: Path, dim: int) -> dict[bytes, Vectors]:
    """Every key and vector of a cache; merges its shards when there are many."""
    if not folder.is_dir():
        return {}
    with _locked(folder, fcntl.LOCK_SH):
        shards = {path.name: _read_shard(path, dim) for path in sorted(folder.glob("*.npy"))}
    if len(shards) > MOST_SHARDS:
        with _locked(folder, fcntl.LOCK_EX):
            shards = {path.name: _read_shard(path, dim) for path in sorted(folder.glob("*.npy"))}
            if known := _rows(shards):
                merged = write_shard(folder, known)
                for name in shards.keys() - {merged}:
                    (folder / name).unlink(missing_ok=True)
    return _rows(shards)


def _rows(shards: dict[str, dict[bytes, Vectors]]) -> dict[bytes, Vectors]:
    return {key: vector for shard in shards.values() for key, vector in shard.items()}


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    """Hold the folder's lock. A listing beside a merge can miss a row twice, in the old shard and in the new one."""
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, mode)  # given back by the kernel, after a kill too
        yield


def write_shard(folder: Path, rows: dict[bytes, Vectors]) -> str:
    """Put a shard in place, complete or not at all; returns its file's name."""
    keys = sorted(rows)
    shard = np.empty(len(keys), _layout(len(rows[keys[0]])))
    shard["key"] = keys
    shard["vector"] = [rows[key] for key in keys]
    buffer = io.BytesIO()
    np.save(buffer, shard, allow_pickle=False)
    content = buffer.getvalue()
    name = f"{hashlib.sha256(content).hexdigest()}.npy"
    folder.mkdir(parents=True, exist_ok=True)
    working = folder / f".{name}.{uuid.uuid4().hex}"
    try:
        with working.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        working.rename(folder / name)
    finally:
        working.unlink(missing_ok=True)
    return name


def _layout(dim: int) -> np.dtype[np.void]:
    return np.dtype([("key", "S64"), ("vector", "<f4", (dim,))])


def _read_shard(path: Path, dim: int) -> dict[bytes, Vectors]:
    """A shard's rows; none when it isn't what its name says: it is removed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # another reader removed it
        return {}
    if hashlib.sha256(content).hexdigest() == path.stem:
        shard: npt.NDArray[np.void] = np.load(io.BytesIO(content), allow_pickle=False)
        if shard.dtype == _layout(dim):
            return dict(zip(shard["key"].tolist(), shard["vector"], strict=True))
    say(f"item cache: {path.name[:12]}… is damaged; removed, its items are encoded again")
    path.unlink(missing_ok=True)
    return {}
