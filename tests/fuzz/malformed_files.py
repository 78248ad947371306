"""Changes to the files of a good version that leave it malformed, yet sealed."""

from __future__ import annotations

import hashlib
import json
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle.format import MANIFEST, read_manifest
from nightreel.models import ann_index

ITEMS, USERS = 300, 60
"""Of the good version: what stands at the edge of its ranges is tried most."""
JUNK: tuple[Any, ...] = (
    None, -1, 0, 1, 10**12, 1e308, -1e308, float("nan"), float("inf"), "", "x", "time", [], {}, [None], True, 0.5,
    [1, 2], {"a": 1}, "é" * 300,
)  # fmt: skip


def mutate(folder: Path, rng: np.random.Generator) -> None:
    """Change one to three files, then seal what is there."""
    entries = read_manifest(folder).files
    for _ in range(rng.integers(1, 4)):
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        names = [name for name in names if name not in (MANIFEST, "lineage.json")]
        name = names[rng.integers(len(names))]
        path = folder / name
        kind = rng.integers(10)
        if kind == 0:
            _raw(path, rng)
        elif kind == 1 and rng.random() < 0.3:
            path.unlink()
        elif kind == 2 and rng.random() < 0.5:
            path.write_bytes((folder / names[rng.integers(len(names))]).read_bytes())
        elif path.suffix == ".npy":
            _array(path, rng)
        elif path.suffix == ".json":
            _json(path, rng)
        elif path.suffix == ".parquet":
            _table(path, rng)
        elif path.name == ann_index.FILE:
            _numbers(path, rng)
        else:
            _words(path, rng)
    _seal(folder, entries, rng)


def _raw(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 20)):
        if content:
            content[rng.integers(len(content))] = rng.integers(256)
    if rng.random() < 0.2:
        content = content[: rng.integers(len(content) + 1)]
    path.write_bytes(bytes(content))


def _numbers(path: Path, rng: np.random.Generator) -> None:
    """Put extreme numbers of 2, 4 or 8 bytes anywhere, most of them behind the vectors."""
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 20)):
        value = np.array([0, 1, ITEMS, 2**15, 2**31, -1][rng.integers(6)])
        number = value.astype(["<i2", "<i4", "<i8"][rng.integers(3)]).tobytes()
        at = rng.integers(len(content) // 3 * rng.integers(2), len(content) - len(number))
        content[at : at + len(number)] = number
    path.write_bytes(bytes(content))


def _array(path: Path, rng: np.random.Generator) -> None:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, MemoryError, SyntaxError, tokenize.TokenError):  # an earlier change made it so
        return _raw(path, rng)
    kind = rng.integers(6)
    if kind <= 2 and array.size:
        array = array.copy()
        flat = array.reshape(-1)
        limits = np.iinfo(array.dtype) if array.dtype.kind in "iu" else None
        values = [0, 1] if array.dtype.kind == "b" else [-1, 0, 1, ITEMS, ITEMS - 1, USERS + 1, 70_000]
        values += [limits.min, limits.max] if limits else []
        values += [np.nan, np.inf, -np.inf, 1e30, -1e30] if array.dtype.kind == "f" else []
        for _ in range(rng.integers(1, 5)):
            value = values[rng.integers(len(values))]
            with np.errstate(all="ignore"):
                flat[rng.integers(flat.size)] = np.array(value).astype(array.dtype)
    elif kind == 3:
        with np.errstate(all="ignore"):
            array = array.astype(rng.choice(["<f4", "<f8", "<i4", "<i8", "<i2", "<u2", "|b1", ">f4", "<f2", "<U3"]))
    elif kind == 4:
        array = array.T if rng.random() < 0.3 else array[: rng.integers(len(array) + 1)] if array.ndim else array
        array = np.concatenate([array, array]) if rng.random() < 0.3 and array.ndim else array
        array = array.reshape(-1) if rng.random() < 0.2 else array
    else:  # a header that claims more than there is
        content = path.read_bytes()
        at = content.find(b"'shape': (")
        content = content[: at + 10] + str(rng.integers(1, 10**9)).encode() + content[at + 10 :]
        return void(path.write_bytes(content))
    return np.save(path, array)


def void(_: object) -> None:
    """Drop a value."""


def _json(path: Path, rng: np.random.Generator) -> None:
    try:
        value = json.loads(path.read_text())
    except ValueError:
        return _raw(path, rng)
    holders = [value]
    for holder in holders:
        inner = holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list) else ()
        holders += [each for each in inner if isinstance(each, dict | list)]
    holder = holders[rng.integers(len(holders))]
    if isinstance(holder, dict | list) and len(holder):
        key = list(holder)[rng.integers(len(holder))] if isinstance(holder, dict) else int(rng.integers(len(holder)))
        if rng.random() < 0.3:
            del holder[key]
        else:
            holder[key] = JUNK[rng.integers(len(JUNK))]
    return void(path.write_text(json.dumps(value)))


def _table(path: Path, rng: np.random.Generator) -> None:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError):
        return _raw(path, rng)
    if not table.num_columns:
        return None
    at, kind = int(rng.integers(table.num_columns)), rng.integers(6)
    name = table.column_names[at]
    if kind == 0:
        table = table.drop_columns([name])
    elif kind == 1:
        others = [pa.array([v] * table.num_rows) for v in (1, "x", None, 0.5, True, ["a"], b"\xff", {"a": 1})]
        table = table.set_column(at, name, others[rng.integers(len(others))])
    elif kind == 2:
        table = table.slice(0, int(rng.integers(table.num_rows + 1)))
    elif kind == 3:
        table = pa.concat_tables([table, table.slice(0, 1)])
    elif kind == 4:
        cells = table[name].to_pylist()
        for _ in range(3):
            if cells:
                cells[rng.integers(len(cells))] = None
        table = table.set_column(at, name, pa.array(cells, table[name].type))
    else:
        table = table.take(pa.array(rng.permutation(table.num_rows)))
    return pq.write_table(table, path)


def _words(path: Path, rng: np.random.Generator) -> None:
    words = path.read_text(errors="replace").split(" ")
    words[rng.integers(len(words))] = str(JUNK[rng.integers(len(JUNK))])
    path.write_text(" ".join(words))


def _seal(folder: Path, before: dict[str, dict[str, Any]], rng: np.random.Generator) -> None:
    """As `seal` does, but whatever the files are, and now and then with a wrong statement of an array's shape."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in (MANIFEST, "lineage.json"):
            continue
        entry = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
        if path.suffix == ".npy":
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
                entry |= {"dtype": array.dtype.str, "shape": list(array.shape)}
            except Exception:
                entry |= {each: before[name][each] for each in ("dtype", "shape") if name in before}
        files[name] = entry
    try:
        config = json.loads((folder / "config.json").read_text())
    except (ValueError, OSError):
        config = {}
    content = {"format": 1, "files": files, "config": config if isinstance(config, dict) else {}}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (folder / MANIFEST).write_text(text)
