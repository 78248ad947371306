"""The same data give the same lists: whatever users are called, in whatever order rows come, with any number of threads.

Each variant is a whole night over the same planted events, asked by the Reader for every user.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from threadpoolctl import threadpool_limits

from nightreel.reader.reader import Reader
from tasks import evaluate, finetune, refit
from tests.models.neural.test_transformer import HYPER
from tests.support.datasets import prepare, understand_nothing, workspace, write_dataset
from tests.tasks.test_finetune_and_refit import CHANGES, vectors

pytestmark = pytest.mark.end_to_end

Lists = list[list[str]]
USERS = [f"u{n:03d}" for n in range(60)]
MEMBERS = CHANGES["finetune.members"] | {
    "popularity": {"half_life_days": [30, 1], "buckets": [8]},
    "transformer": {name: [value] for name, value in (HYPER | {"epochs": 2.0}).items()},
}
PLANTED: dict[str, Any] = CHANGES | {"finetune.members": MEMBERS, "finetune.validation_users": 40}


@pytest.fixture(scope="module", params=["time", "order"])
def clock(request: pytest.FixtureRequest) -> str:
    """With a clock the ranker is chosen by cuts in time, without one by users' last events."""
    return str(request.param)


@pytest.fixture(scope="module")
def source(clock: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("source") / "films", clock=clock).folder  # type: ignore[arg-type]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """As a process has that was started with OMP_NUM_THREADS=count."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count), pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", str(count))
            yield
    finally:
        torch.set_num_threads(before)


def night(folder: Path, source: Path, users: list[str], *, key: bool = False, count: int = 1) -> Lists:
    """The lists of `users` after a night. key: under pseudonyms, with a key that nobody has had before."""
    with threads(count):
        prepare(folder, source, PLANTED | ({"snapshot.pseudonymise": "on"} if key else {}))
        vectors(folder)
        understand_nothing(folder)
        with workspace(folder):
            for stage in (finetune, evaluate, refit):
                stage.main()
            reader = Reader.open_bundle(Path("data/refit/bundle"))
            assert reader.config["pseudonymised"] == key and all(reader.knows(users))
            return [[each.item_id for each in reader.recommend(user, k=10)] for user in users]


def overlap(ours: Lists, theirs: Lists) -> float:
    return float(np.mean([len(set(one) & set(other)) / 10 for one, other in zip(ours, theirs, strict=True)]))


@pytest.fixture(scope="module")
def usual(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Lists:
    found = night(tmp_path_factory.mktemp("usual") / "run", source, USERS)
    assert len({tuple(each) for each in found}) > 30, "lists that are all alike would prove nothing"
    return found


def test_with_more_threads(usual: Lists, source: Path, tmp_path: Path) -> None:
    assert overlap(usual, night(tmp_path / "run", source, USERS, count=2)) >= 0.99


def test_under_another_pseudonym_key(usual: Lists, source: Path, tmp_path: Path) -> None:
    assert night(tmp_path / "run", source, USERS, key=True) == usual


def test_with_other_names_and_rows_in_another_order(usual: Lists, source: Path, tmp_path: Path, clock: str) -> None:
    """Names in another order, too; only the order of a user's events at one and the same time means something."""
    rng, names = np.random.default_rng(5), dict(zip(USERS, random.Random(5).sample(USERS, len(USERS)), strict=True))
    target = tmp_path / "films"
    target.mkdir()
    for table in ("items", "events"):
        rows = pq.read_table(source / f"{table}.parquet")
        rows = rows.take(pa.array(rng.permutation(rows.num_rows)))
        if table == "events":
            moments = set(zip(rows["user_id"].to_pylist(), rows["timestamp"].to_pylist(), strict=True))
            assert len(moments) == rows.num_rows, "no two events of a user at the same time"
            renamed = pa.array([names[user] for user in rows["user_id"].to_pylist()])
            rows = rows.set_column(rows.column_names.index("user_id"), "user_id", renamed)
        pq.write_table(rows, target / f"{table}.parquet")
    assert night(tmp_path / "run", target, [names[user] for user in USERS]) == usual
