"""Versions that are malformed, yet sealed: whatever stands in them, opening or asking one gives a clear error.

    python -m tests.fuzz.resealed_versions 20000        # 300 run in the checks
    python -m tests.fuzz.resealed_versions 15000 5000   # goes on after the first 5,000

Each case changes one to three files of a good version of 300 items, seals it anew, opens it and asks every kind of
request. It may answer, or raise a UserError: anything else, a crash, a hang, or memory beyond twice a good version's is
a failure, named with its number.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.bundle import context_popularity
from nightreel.bundle.assembly import write_histories
from nightreel.bundle.item_facets import Facets
from nightreel.data.contract.verdicts import code_of
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.models import ann_index
from nightreel.models.factorization.rating_model import Rated, RatingConfig, RatingModel
from nightreel.reader.interests import interests
from nightreel.reader.live_reader import warm
from nightreel.reader.options import RequestOptions
from nightreel.reader.precompute import precompute
from nightreel.reader.reader import Reader
from tests.fuzz import malformed_files
from tests.fuzz.forked_batches import run
from tests.fuzz.malformed_files import ITEMS, USERS
from tests.support.bundles import HYPER, reseal, write_bundle
from tests.support.explored_bundle import explore
from tests.support.keywords import add_keywords

GRAPH = {"connectivity": 4, "expansion_add": 32, "expansion_search": 32}
MEMBERS = HYPER | {
    "svd": {"factors": 8, "decay": 5}, "ials": {"factors": 8, "iterations": 2}, "user_knn": {"neighbors": 10},
    "slist": {}, "nmf": {"factors": 4}, "tfidf_knn": {}, "popularity_by_genre": {},
}  # fmt: skip
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
    against(folder)
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
    explore(folder)
    ann_index.build(np.load(folder / "vectors.npy"), GRAPH, folder / ann_index.FILE)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vector_index": GRAPH}))
    reseal(folder)
    precompute(folder, Reader.open_bundle(folder))


def against(folder: Path) -> None:
    """Write what users turned down, and how often each item was: next to each item of a history the one after it."""
    past = Reader.open_bundle(folder, check=False).histories.take(np.arange(USERS))
    rows = [((items + 1) % ITEMS, times) for items, times in map(past.__getitem__, range(USERS))]
    negatives = Histories.from_rows([(items.tolist(), times.tolist()) for items, times in rows])
    codes = np.full(len(negatives.items), code_of("dislike"), np.int8)
    write_histories(folder / "negatives", replace(negatives, verdicts=codes))
    for path in sorted((folder / "engine/statistics").glob("trend0.*.npy")):
        shutil.copyfile(path, path.with_name(path.name.replace("trend0", "negatives")))
    reseal(folder)


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


def case(number: int, base: Path, work: Path) -> None:
    """One case. base: a good version; work: a folder for the changed one."""
    folder = work / f"{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    malformed_files.mutate(folder, np.random.default_rng(number))
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
