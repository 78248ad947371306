"""Two nights: what finetune keeps, refit ships; what snapshot pins of it, the next finetune goes on from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.format import digest_of
from nightreel.data.dataset import load_dataset
from nightreel.stage import read_json, write_json
from nightreel.store import channels
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tasks import evaluate, finetune, refit, snapshot, validate
from tests.support.datasets import prepare, understand_nothing, workspace, write_dataset

pytestmark = pytest.mark.end_to_end

TRANSFORMER = {
    "dim": [8], "layers": [1], "heads": [2], "window": [10], "epochs": [0.5], "tokens": [1], "learning_rate": [0.005],
    "dropout": [0.1], "negatives": [20], "resumed_epochs": [0.1], "resumed_rate": [0.005], "most_new": [1.0],
}  # fmt: skip
CHANGES: dict[str, Any] = {
    "finetune.encoder_steps": 0,
    "finetune.warm_nights": 6,
    "finetune.search_nights": 0,
    "finetune.positions": 2,
    "finetune.trees": {
        "num_trees": [2], "learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 20, "lambda_l2": 1, "feature_fraction": 1, "bagging_fraction": 1,
        "lambdarank_truncation_level": 10,
    },
    "validate.protocols": "global_time",
    "validate.gate_users": 5,
    "finetune.time_cut_users": 10,
    "finetune.members": {"popularity": {"half_life_days": [30], "buckets": [8]}, "transformer": TRANSFORMER},
    "evaluate.bootstrap_replicates": 100,
    "evaluate.cold_users": 10,
}  # fmt: skip


def embedded() -> None:
    """Content vectors in embed's form."""
    items = load_dataset().n_items
    Path("data/embed").mkdir(parents=True, exist_ok=True)
    vectors = np.random.default_rng(0).normal(size=(items, 8))
    np.save("data/embed/vectors.npy", (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    write_json(Path("data/embed/embed.json"), {"encoder": "planted", "dim": 8})
    understand_nothing(Path())


def until(source: Path, share: float, target: Path) -> Path:
    """The source as it was when it held this share of its events."""
    target.mkdir()
    shutil.copyfile(source / "items.parquet", target / "items.parquet")
    events = pq.read_table(source / "events.parquet")
    last = events["timestamp"][int(share * len(events))]
    pq.write_table(events.filter(pc.less(events["timestamp"], last)), target / "events.parquet")
    return target


def shipped() -> None:
    """The night from finetune to publish."""
    finetune.main()
    evaluate.main()
    refit.main()
    live = channels.live(open_store())
    facts = read_json(Path("data/snapshot/recipe.json"))
    champion = live.digest if live else None
    publish(open_store(), Path("data/refit/bundle"), channel="live", champion=champion, lineage=facts)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after a published first night; its params.yaml names the second one's source."""
    root = tmp_path_factory.mktemp("nights")
    whole = write_dataset(root / "whole", users=80, events=1200).folder
    folder = prepare(root / "work", until(whole, 0.95, root / "first"), CHANGES)
    with workspace(folder):
        embedded()
        shipped()
        params = Path("params.yaml")
        params.write_text(params.read_text().replace(str(root / "first"), str(whole)))
    return folder


def test_the_second_night_goes_on_from_the_first_and_is_repeatable(
    nights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with workspace(nights):
        snapshot.main()
        recipe = read_json(Path("data/snapshot/recipe.json"))
        live = channels.live(open_store())
        assert live is not None and read_json(Path("data/snapshot/warm/pin.json"))["version"] == live.digest
        validate.main()
        finetune.main()
        digest, told = digest_of(Path("data/finetune/candidate")), capsys.readouterr().out
        folds = load_dataset().folds
        ranked = [line for line in told.splitlines() if "selected ranker" in line]
        assert len(ranked) == len(folds) and all(line.split(": ")[0] in folds for line in ranked)
        for fold in folds:
            assert f"{fold}: warm start (1 in a row): transformer" in told
            assert read_json(Path(f"data/finetune/warm/{fold}/state.json"))["nights"] == 1
        finetune.main()
        assert digest_of(Path("data/finetune/candidate")) == digest
        shutil.rmtree("data/snapshot/warm/global_time")
        finetune.main()
        assert digest_of(Path("data/finetune/candidate")) != digest, "cold, it is another model"
        snapshot.main()
        assert read_json(Path("data/snapshot/recipe.json")) == recipe


def test_a_night_that_may_not_start_warm_pins_nothing_and_is_another_recipe(nights: Path) -> None:
    with workspace(nights):
        snapshot.main()
        warm = read_json(Path("data/snapshot/recipe.json"))
        params = Path("params.yaml")
        text = params.read_text()
        params.write_text(text.replace("warm_nights: 6", "warm_nights: 0"))
        snapshot.main()
        assert [path.name for path in Path("data/snapshot/warm").iterdir()] == ["pin.json"]
        assert read_json(Path("data/snapshot/recipe.json"))["parts"]["source"] != warm["parts"]["source"]
        params.write_text(text)
