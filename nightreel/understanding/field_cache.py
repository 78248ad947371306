"""Cache of derived fields in the state directory, so that only new and changed items are processed.

A cache belongs to one producer (a model or method with its settings and code). It is a folder of shards, JSON Lines of
[key, value], named by the hash of their content and renamed into place: a killed run keeps what it has written. Two
runs may use it at once; what one of them can't see of the other's it computes again. Memory: 24 bytes per stored value;
the value itself is read on demand.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from nightreel.content.cache.shards import put
from nightreel.content.cache.vector_cache import forget_old
from nightreel.stage import log_progress

SUFFIX = ".jsonl"
SHARD_ROWS = 1024
SHARD_S = 20.0
"""Values, and seconds, after which a shard is written: a value may cost minutes (a transcript) or next to nothing."""
MOST_SHARDS = 32
"""Maximum number of shards before they are merged."""


def fingerprint(*parts: Any) -> str:
    """sha256 of the parts as canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_of(*modules: Path) -> str:
    """sha256 of modules' files, because changed code may give other values."""
    return fingerprint([hashlib.sha256(path.read_bytes()).hexdigest() for path in modules])


@dataclass(frozen=True)
class _Shard:
    """An open shard; the file stays readable when a merge removes its name. heads: [rows] hashes of the keys,
    ascending; places: [rows, 2] start and end of each line."""

    file: BinaryIO
    heads: npt.NDArray[np.uint64]
    places: npt.NDArray[np.int64]

    def lines(self, wanted: npt.NDArray[np.uint64]) -> Iterator[bytes]:
        """Lines that may have one of the wanted keys."""
        at = np.searchsorted(self.heads, wanted)
        inside = at < len(self.heads)
        for row in at[inside][self.heads[at[inside]] == wanted[inside]]:
            start, end = self.places[row].tolist()
            yield os.pread(self.file.fileno(), end - start, start)


class FieldCache:
    """Values by key, in `root/<producer>`; a context manager, which writes pending values at its end. A key is text
    without quotes and backslashes."""

    def __init__(self, root: Path, producer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.clock = root / producer[:32], clock
        root.mkdir(parents=True, exist_ok=True)
        forget_old(root, self.folder)
        self.shards = self._opened()
        self.waiting: dict[str, Any] = {}
        self.written = clock()
        if len(self.shards) > MOST_SHARDS:
            merged = self.folder / put(self.folder, _merged(self.shards), SUFFIX)
            for path in self.shards.keys() - {merged}:
                path.unlink(missing_ok=True)
            self.shards = self._opened()

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        """Stored values of these keys."""
        found = {key: self.waiting[key] for key in keys if key in self.waiting}
        rest = {key for key in keys if key not in found}
        wanted = np.array(sorted(map(_head, rest)), np.uint64)
        for shard in self.shards.values():
            for line in shard.lines(wanted):
                key, value = json.loads(line.decode("utf-8", "surrogatepass"))
                if key in rest:
                    found[key] = value
        return found

    def put(self, key: str, value: Any) -> None:
        """Store a value; it must be JSON, and is returned as JSON."""
        self.waiting[key] = value
        if len(self.waiting) >= SHARD_ROWS or self.clock() - self.written >= SHARD_S:
            self.flush()

    def flush(self) -> None:
        """Write pending values."""
        if self.waiting:
            lines = (_line(key, self.waiting[key]) for key in sorted(self.waiting))
            path = self.folder / put(self.folder, lines, SUFFIX)
            if shard := _open_shard(path):
                self.shards[path] = shard
        self.waiting, self.written = {}, self.clock()

    def _opened(self) -> dict[Path, _Shard]:
        opened = ((path, _open_shard(path)) for path in sorted(self.folder.glob(f"*{SUFFIX}")))
        return {path: shard for path, shard in opened if shard is not None}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        for shard in self.shards.values():
            shard.file.close()


def _head(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())


def _line(key: str, value: Any) -> bytes:
    text = json.dumps([key, value], ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "surrogatepass")


def _key(line: bytes) -> bytes:
    return line[2 : line.index(b'"', 2)]


def _merged(shards: dict[Path, _Shard]) -> Iterator[bytes]:
    """Lines of all shards in the order of the keys, one per key; each shard is sorted in that order."""
    for shard in shards.values():
        shard.file.seek(0)
    last = None
    for line in heapq.merge(*(shard.file for shard in shards.values()), key=_key):
        if (key := _key(line)) != last:
            yield line
        last = key


def _open_shard(path: Path) -> _Shard | None:
    """Open a shard; None if it is gone or damaged, in which case it is removed."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # another run merged it
        return None
    if hashlib.file_digest(file, "sha256").hexdigest() == path.stem:
        file.seek(0)
        entries = [(_head(_key(line).decode()), len(line)) for line in file]
        ends = np.cumsum([length for _, length in entries])
        places = np.column_stack([np.concatenate([[0], ends[:-1]]), ends]).astype(np.int64)
        heads = np.array([head for head, _ in entries], np.uint64)
        order = np.argsort(heads, kind="stable")
        return _Shard(file, heads[order], places[order])
    file.close()
    log_progress(f"field cache: {path.name[:12]}… is damaged and was removed; its items are processed again")
    path.unlink(missing_ok=True)
    return None
