"""Shards of an item cache: .npy files of (key, vector), sorted by key and named by the hash of their content.

A key is a SHA-256 in hexadecimal. Only the first 64 bits of an open shard's keys are in memory, 8 bytes per row; rows
are read from the file on demand.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nightreel.stage import log_progress

Vectors = npt.NDArray[np.float32]
Heads = npt.NDArray[np.uint64]
Row = tuple[bytes, Vectors]
HEAD = 16
"""Hexadecimal digits of a key that are kept in memory."""
READ_ROWS = 4096
"""Rows that are read at once when a shard is opened."""


def heads_of(keys: Iterable[bytes]) -> Heads:
    """[n] first 64 bits of each key."""
    return np.array([int(key[:HEAD], 16) for key in keys], np.uint64)


def npy_header(dtype: np.dtype[np.void] | np.dtype[np.float32], shape: tuple[int, ...]) -> bytes:
    """The header that np.save writes before the numbers."""
    buffer = BytesIO()
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


@dataclass(frozen=True)
class Shard:
    """An open shard; the file stays readable when a merge removes its name. heads: [rows], ascending."""

    file: BinaryIO
    start: int
    dim: int
    heads: Heads

    def search(self, heads: Heads) -> npt.NDArray[np.int64]:
        """[n] row that may have a key with this beginning, -1 if there is none."""
        if not len(self.heads):
            return np.full(len(heads), -1)
        at = np.minimum(np.searchsorted(self.heads, heads), len(self.heads) - 1)
        return np.where(self.heads[at] == heads, at, -1)

    def bytes_at(self, row: int) -> bytes:
        """A row in its stored form."""
        size = layout(self.dim).itemsize
        return os.pread(self.file.fileno(), size, self.start + row * size)

    def __getitem__(self, row: int) -> Row:
        record = np.frombuffer(self.bytes_at(row), layout(self.dim))[0]
        return bytes(record["key"]), record["vector"]


def layout(dim: int) -> np.dtype[np.void]:
    """Type of a row."""
    return np.dtype([("key", "S64"), ("vector", "<f4", (dim,))])


def open_shard(path: Path, dim: int) -> Shard | None:
    """Open a shard; None if it is gone or damaged, in which case it is removed."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # another reader removed it
        return None
    if hashlib.file_digest(file, "sha256").hexdigest() == path.stem:
        file.seek(0)
        np.lib.format.read_magic(file)
        dtype = np.lib.format.read_array_header_1_0(file)[2]
        if dtype == layout(dim):
            start, size = file.tell(), dtype.itemsize * READ_ROWS
            parts = [
                heads_of(np.frombuffer(part, dtype)["key"].tolist()) for part in iter(lambda: file.read(size), b"")
            ]
            return Shard(file, start, dim, np.concatenate(parts) if parts else np.empty(0, np.uint64))
    file.close()
    log_progress(f"item cache: {path.name[:12]}… is damaged and was removed; its items are encoded again")
    path.unlink(missing_ok=True)
    return None


def write_shard(folder: Path, rows: Mapping[bytes, Vectors]) -> str:
    """Write a shard; returns its file's name."""
    keys = sorted(rows)
    shard = np.empty(len(keys), layout(len(rows[keys[0]])))
    shard["key"] = keys
    shard["vector"] = [rows[key] for key in keys]
    return put(folder, [npy_header(shard.dtype, shard.shape), shard.tobytes()], ".npy")


def merge(folder: Path, shards: Sequence[Shard], dim: int) -> str:
    """Merge shards into one, row by row; returns its file's name."""
    heads = np.concatenate([shard.heads for shard in shards])
    owner = np.repeat(np.arange(len(shards)), [len(shard.heads) for shard in shards])
    row = np.concatenate([np.arange(len(shard.heads)) for shard in shards])
    order = np.argsort(heads, kind="stable")
    order = order[np.concatenate([[True], heads[order][1:] != heads[order][:-1]])]

    def content() -> Iterator[bytes]:
        yield npy_header(layout(dim), (len(order),))
        for at in order:
            yield shards[owner[at]].bytes_at(int(row[at]))

    return put(folder, content(), ".npy")


def put(folder: Path, parts: Iterable[bytes], suffix: str) -> str:
    """Write a file atomically, named by its content's hash; returns the name."""
    folder.mkdir(parents=True, exist_ok=True)
    working, hashed = folder / f".partial.{uuid.uuid4().hex}", hashlib.sha256()
    try:
        with working.open("wb") as file:
            for part in parts:
                hashed.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        name = f"{hashed.hexdigest()}{suffix}"
        working.rename(folder / name)
    finally:
        working.unlink(missing_ok=True)
    return name
