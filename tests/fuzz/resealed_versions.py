"""Versions that are malformed, yet sealed: whatever stands in them, opening or asking one gives a clear error.

    python -m tests.fuzz.resealed_versions 20000        # 300 run in the checks

Each case changes one to three files of a good version of 300 items, seals it anew, opens it and asks every kind of
request. It may answer, or raise a UserError: anything else, a crash, a hang, or memory beyond twice a good version's is
a failure, named with its number.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle import context_popularity
from nightreel.bundle.format import MANIFEST, read_manifest
from nightreel.bundle.item_facets import Facets
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.models.factorization.rating_model import Rated, RatingConfig, RatingModel
from nightreel.reader.interests import interests
from nightreel.reader.live_reader import warm
from nightreel.reader.options import RequestOptions
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from tests.fuzz.forked_batches import run
from tests.support.bundles import HYPER, reseal, write_bundle
from tests.support.keywords import add_keywords

ITEMS, USERS = 300, 60
MEMBERS = HYPER | {
    "svd": {"factors": 8, "decay": 5}, "ials": {"factors": 8, "iterations": 2}, "user_knn": {"neighbors": 10},
    "slist": {}, "nmf": {"factors": 4}, "tfidf_knn": {}, "popularity_by_genre": {},
}  # fmt: skip
JUNK: tuple[Any, ...] = (
    None, -1, 0, 1, 10**12, 1e308, -1e308, float("nan"), float("inf"), "", "x", "time", [], {}, [None], True, 0.5,
    [1, 2], {"a": 1}, "é" * 300,
)  # fmt: skip
TREE = """tree
version=v4

Tree=0
num_leaves=3
num_cat=0
split_feature=0 2
threshold=0.5 0.1
decision_type=10 8
left_child=1 -1
right_child=-2 -3
leaf_value=0.3 -0.2 0.1


end of trees
"""


def good(folder: Path) -> None:
    """Write a version with every kind of file that a reader opens."""
    write_bundle(folder, users=USERS, items=ITEMS, watched=20, members=MEMBERS)
    items = pq.read_table(folder / "items.parquet")
    items = items.append_column("creators", pa.array([[f"c{n % 7}"] for n in range(ITEMS)]))
    items = items.append_column("min_age", pa.array([6 * (n % 4) for n in range(ITEMS)]))
    items = items.append_column("language", pa.array([("en", "zh-Hant")[n % 2] for n in range(ITEMS)]))
    pq.write_table(items, folder / "items.parquet")
    add_keywords(folder, folder.parent / "derived.parquet")
    reader = Reader.open_bundle(folder)
    _, columns, _ = reader.engine.candidates(reader.histories.take([0]), np.array([np.nan]), None)
    described = json.loads((folder / "engine/engine.json").read_text())
    (folder / "engine/engine.json").write_text(json.dumps(described | {"blend": "trees", "columns": list(columns)}))
    (folder / "engine/trees.txt").write_text(TREE)
    facets = Facets(folder / "items.parquet")
    labels = {name: getattr(facets, name) for name in context_popularity.FACETS}
    context_popularity.write(folder, reader.histories.take(np.arange(USERS)), labels, clock=True)
    rng = np.random.default_rng(0)
    known = Rated(rng.integers(0, USERS, 400), rng.integers(0, ITEMS, 400), rng.integers(1, 6, 400).astype(float))
    (folder / "ratings").mkdir()
    for name, array in RatingModel.fit(known, USERS, ITEMS, RatingConfig(factors=4)).arrays().items():
        np.save(folder / f"ratings/{name}.npy", array)
    reseal(folder)
    precompute(folder, Reader.open_bundle(folder))


def exercise(folder: Path) -> None:
    """Open a version and ask everything that a reader answers."""
    reader = Reader.open_bundle(folder)
    warm(reader)
    options = RequestOptions(
        genres=("Drama", "Sci-Fi"), languages=("en", "zh"), audience_age=30, max_per_creator=2, diversity=0.3,
        liked=("i004",), skipped=("i007",),
    )  # fmt: skip
    for user in ("u000", "u059", "nobody"):
        reader.recommend(user, k=10, reasons=True)
        reader.recommend(user, k=10, options=options, reasons=True)
        reader.recommend(user, k=10, offset=120, at="last-event")
    reader.explain("i010", "u001")
    reader.explain("i299", history=["i001", "i002"])
    reader.recommend_users([f"u{n:03d}" for n in range(USERS)], 20)
    for item in ("i000", "i299"):
        reader.similar(item, 70)
    reader.search("space stoyr 12", 10)
    if reader.ratings is not None:
        reader.rate(["i001", "i299"], "u003")
        reader.rate(["i001"], ratings={"i002": 4.0})
    interests(reader, "u001")
    for model in reader.models:
        reader.recommend_many(reader.histories.take(np.arange(4)), k=5, model=model)
        reader.score(Histories.from_rows([([1, 2], [1.0, 2.0])]), [0, 299], model=model)


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


def _array(path: Path, rng: np.random.Generator) -> None:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, MemoryError, SyntaxError):  # an earlier change made it so
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


def case(number: int, base: Path, work: Path) -> None:
    """One case. base: a good version; work: a folder for the changed one."""
    folder = work / f"{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    mutate(folder, np.random.default_rng(number))
    try:
        exercise(folder)
    except UserError as error:
        assert str(error) and "\n" not in str(error), str(error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(cases: int, begin: int = 0) -> int:
    """Run `cases` cases; returns the number of failures."""
    with tempfile.TemporaryDirectory() as scratch:
        base, work = Path(scratch) / "good", Path(scratch) / "work"
        good(base)
        work.mkdir()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        exercise(base)
        used = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, before)
        failures = run(lambda number: case(number, base, work), range(begin, begin + cases), 2 * used * 1024)
    print(f"{cases:,} cases, {len(failures)} failures")
    return len(failures)


if __name__ == "__main__":
    sys.exit(min(main(*map(int, sys.argv[1:] or ["20000"])), 1))
