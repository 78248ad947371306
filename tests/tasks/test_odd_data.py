"""Data that no recommender can do much with: a sensible model or a clear refusal, never a crash or a NaN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import load_dataset
from nightreel.errors import UserError
from nightreel.reader.reader import Reader
from nightreel.stage import read_json, write_json
from tasks import evaluate, finetune, refit
from tests.support.datasets import prepare, understand_nothing, workspace

Rows = list[tuple[int, int, int]]
CLOSED = {"regularization": [100], "decay": [5], "top_weights": [64], "max_items": [1000]}
CHANGES: dict[str, Any] = {
    "finetune.encoder_steps": 0,
    "finetune.fusion": {"steps": 0, "pairs": 2, "learning_rate": 0.003, "temperature": 0.5, "dropout": 0.3},
    "finetune.positions": 2,
    "finetune.members": {
        "popularity": {"half_life_days": [30], "buckets": [8]},
        "item_knn": {"neighbors": [10], "shrink": [20], "decay": [5]},
        "content_knn": {"decay": [5]},
        "ease": CLOSED,
        "slist": CLOSED | {"window": [5], "horizon": [1], "horizon_decay": [1]},
        "svd": {"factors": [8], "scaling": [0.3], "decay": [5]},
        "user_knn": {"neighbors": [10], "shrink": [5], "decay": [5]},
    },
    "evaluate.bootstrap_replicates": 100,
    "validate.quarantine_share": 0.2,
}


def every(users: int, items: int, each: int) -> Rows:
    """Users that take `each` neighbouring items in turn."""
    return [(u, (u + n) % items, u * 1000 + n * 86_400) for u in range(users) for n in range(each)]


ODD: dict[str, tuple[int, Rows, dict[str, Any]]] = {
    "one user": (12, every(1, 12, 10), {}),
    "all ratings equal, all in one instant": (
        20,
        [(u, i, 0) for u, i, _ in every(20, 20, 6)],
        {"event": "rating", "value": 3.0},
    ),
    "everybody takes everything": (8, every(15, 8, 8), {}),
    "titles only": (20, every(20, 20, 6), {"titles_only": True}),
    "titles of one word": (20, every(20, 20, 6), {"titles_only": True, "title": "x"}),
    "no text at all": (20, every(20, 20, 6), {"titles_only": True, "vectors": False}),
    "100 times more items than events": (4000, every(8, 4000, 5), {}),
}
NOTHING_TO_JUDGE: dict[str, tuple[int, Rows]] = {
    "one item": (1, every(12, 1, 1)),
    "two events": (2, [(0, 0, 0), (0, 1, 90)]),
    "nobody comes back": (30, every(40, 30, 1)),
}


def write(folder: Path, items: int, rows: Rows, event: str = "play", value: float | None = None, **more: Any) -> Path:
    """items.parquet and events.parquet."""
    folder.mkdir()
    columns: dict[str, Any] = {
        "item_id": [f"i{n}" for n in range(items)],
        "title": [more.get("title", f"A title {n}") for n in range(items)],
    }
    if not more.get("titles_only"):
        columns["genres"] = [["Drama"], ["Comedy", "Crime"]] * (items // 2) + [["Drama"]] * (items % 2)
    pq.write_table(pa.table(columns), folder / "items.parquet")
    log = {
        "user_id": [f"u{u}" for u, _, _ in rows],
        "item_id": [f"i{i}" for _, i, _ in rows],
        "timestamp": pa.array([1_700_000_000 + t for _, _, t in rows], pa.timestamp("s")).cast(
            pa.timestamp("us", "UTC")
        ),
        "event": [event] * len(rows),
        "value": pa.array([value] * len(rows), pa.float64()),
    }
    pq.write_table(pa.table(log), folder / "events.parquet")
    return folder


@pytest.mark.parametrize("name", NOTHING_TO_JUDGE)
def test_where_nothing_can_be_judged_it_says_so(name: str, tmp_path: Path) -> None:
    source = write(tmp_path / "source", *NOTHING_TO_JUDGE[name])
    with pytest.raises(UserError, match=r"events: no test split is possible: .*Provide more events"):
        prepare(tmp_path / "work", source, CHANGES)


@pytest.mark.parametrize("name", ODD)
def test_a_sensible_model(name: str, tmp_path: Path) -> None:
    items, rows, more = ODD[name]
    source = write(tmp_path / "source", items, rows, **more)
    folder = prepare(tmp_path / "work", source, CHANGES)
    data = load_dataset(folder / "data/validate")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(data.n_items, 8)).astype(np.float32) * more.get("vectors", True)
    (folder / "data/embed").mkdir(parents=True)
    np.save(
        folder / "data/embed/vectors.npy", vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    )
    write_json(folder / "data/embed/embed.json", {"encoder": "planted", "dim": 8})
    understand_nothing(folder)
    with workspace(folder), np.errstate(invalid="raise", divide="raise"):
        finetune.main()
        evaluate.main()
        refit.main()
        metrics = read_json(Path("metrics/evaluate.json"))
        assert not any(np.isnan(value) for value in numbers(metrics))
        reader = Reader.open_bundle(Path("data/finetune/candidate"))
        answer = reader.recommend("u0", k=5)
        assert all(np.isfinite(row.score) for row in answer)


def numbers(tree: Any) -> list[float]:
    """All numbers in nested dicts and lists."""
    if isinstance(tree, dict):
        return [n for value in tree.values() for n in numbers(value)]
    if isinstance(tree, list):
        return [n for value in tree for n in numbers(value)]
    return [float(tree)] if isinstance(tree, int | float) else []
