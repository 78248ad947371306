"""Derived values that were computed before, kept in the state directory: only new and changed items are looked at.

A cache belongs to one producer (a model or method with its settings and code). It is a folder of shards, JSON Lines of
[key, value] named by the hash of their content and put in place by a rename: a killed run keeps what it had written.
Two runs may use it at once: what one misses of the other's it computes again.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tasks.content.item_cache import forget_old
from tasks.stage import say

SHARD_ROWS = 1024
SHARD_S = 20.0
"""Values, and seconds, after which a shard is written: a value may cost minutes (a transcript) or next to nothing."""
MOST_SHARDS = 32
"""Shards beyond this many are merged into one."""


def fingerprint(*parts: Any) -> str:
    """sha256 of the parts as canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_of(*modules: Path) -> str:
    """sha256 of modules' files: other code may give other values."""
    return fingerprint([hashlib.sha256(path.read_bytes()).hexdigest() for path in modules])


class FieldCache:
    """Values by key, in `root/<producer>`; use it in a `with`, whose end writes what is waiting."""

    def __init__(self, root: Path, producer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.clock = root / producer[:32], clock
        root.mkdir(parents=True, exist_ok=True)
        forget_old(root, self.folder)
        shards = {path: _read_shard(path) for path in sorted(self.folder.glob("*.jsonl"))}
        self.known: dict[str, Any] = {key: value for shard in shards.values() for key, value in shard.items()}
        self.waiting: dict[str, Any] = {}
        self.written = clock()
        if len(shards) > MOST_SHARDS:
            merged = _write_shard(self.folder, self.known)
            for path in shards.keys() - {merged}:
                path.unlink(missing_ok=True)

    def __contains__(self, key: str) -> bool:
        return key in self.known

    def __getitem__(self, key: str) -> Any:
        return self.known[key]

    def put(self, key: str, value: Any) -> None:
        """Keep a value; it must be JSON, and comes back as JSON gives it."""
        self.known[key] = self.waiting[key] = value
        if len(self.waiting) >= SHARD_ROWS or self.clock() - self.written >= SHARD_S:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self.waiting:
            _write_shard(self.folder, self.waiting)
        self.waiting, self.written = {}, self.clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()


def _write_shard(folder: Path, rows: Mapping[str, Any]) -> Path:
    lines = [json.dumps([key, rows[key]], ensure_ascii=False, allow_nan=False) + "\n" for key in sorted(rows)]
    content = "".join(lines).encode("utf-8", "surrogatepass")
    path = folder / f"{hashlib.sha256(content).hexdigest()}.jsonl"
    working = folder / f".{path.name}.{uuid.uuid4().hex}"
    try:
        working.write_bytes(content)
        working.rename(path)
    finally:
        working.unlink(missing_ok=True)
    return path


def _read_shard(path: Path) -> dict[str, Any]:
    """A shard's rows; none when it isn't what its name says: it is removed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # another run merged it
        return {}
    if hashlib.sha256(content).hexdigest() == path.stem:
        return dict(json.loads(line) for line in content.decode("utf-8", "surrogatepass").splitlines())
    say(f"field cache: {path.name[:12]}… is damaged; removed, its items are looked at again")
    path.unlink(missing_ok=True)
    return {}
