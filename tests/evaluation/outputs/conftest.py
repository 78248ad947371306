"""Real bundles of made-up data, a real store, and the stage to judge them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nightreel.bundle.assembly import refit, rehearse
from nightreel.data.dataset import Dataset, load_dataset
from nightreel.models.training.selected_params import SelectedParams
from nightreel.settings import yaml_values
from nightreel.stage import read_json, write_json
from nightreel.store.backends.local import LocalStore
from nightreel.store.publisher import publish
from tasks import evaluate, snapshot, validate
from tests.support.datasets import write_dataset

ROOT = Path(__file__).parents[3]


NEIGHBOURS = {"neighbors": 100.0, "shrink": 20.0, "decay": 5.0}


CHOICES = SelectedParams(
    members={"popularity": {"half_life_days": 1000.0, "buckets": 8.0}, "item_knn": NEIGHBOURS}, blend="item_knn",
    columns=(), cutoff=50, shortlist=50, half_life_days=(7.0, 1000.0), buckets=8, encoder="base", moment="last_event",
)  # fmt: skip


CONFIG = {"key_fingerprint": None, "pseudonymised": False, "name": "films"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace up to finetune: 120 users with a planted taste; leave_last_out decides."""
    folder = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        write_dataset(Path("films"), users=120, events=2400)
        values = yaml_values.read((ROOT / "params.yaml").read_text())
        values["snapshot"] |= {"source": "films", "pseudonymise": "off"}
        values["validate"]["gate"] = "leave_last_out"
        values["evaluate"] |= {"bootstrap_replicates": 300, "cutoffs": [5, 10]}
        Path("params.yaml").write_text(yaml.safe_dump(values))
        Path("requirements.lock").touch()
        shutil.copytree(ROOT / "tasks", "tasks", ignore=shutil.ignore_patterns("__pycache__"))
        snapshot.main()
        validate.main()
        finetuned(load_dataset())
    return folder


@pytest.fixture
def workspace(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(made, tmp_path / "work")
    enter(tmp_path / "work", monkeypatch)
    yield tmp_path / "work"


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("NIGHTREEL_STATE", str(folder / "state"))
    patch.delenv("NIGHTREEL_STORE", raising=False)


def vectors(data: Dataset) -> Any:
    found = np.random.default_rng(0).normal(size=(data.n_items, 8)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def finetuned(data: Dataset, choices: SelectedParams = CHOICES) -> None:
    """What finetune and embed leave."""
    shutil.rmtree("data/finetune", ignore_errors=True)
    choices.write(Path("data/finetune"))
    Path("data/embed").mkdir(exist_ok=True)
    for stage in ("embed", "finetune"):
        np.save(f"data/{stage}/vectors.npy", vectors(data))
    for protocol, folds in data.protocols.items():
        for fold in folds:
            place = "candidate" if protocol == data.gate else f"candidates/{fold}"
            config = CONFIG | {"split_digest": data.split_digest[protocol]}
            rehearse(data, fold, choices, vectors(data), config, Path("data/finetune", place))


def publish_twin(data: Dataset, **config: Any) -> str:
    """The refit of the very recipe that is being judged, over all events, test included; pinned as champion."""
    bundle = Path("twin")
    (bundle / "rehearsal").mkdir(parents=True)
    for name in ("per_user.parquet", "lists.parquet", "profile.json", "directions.npy"):
        shutil.copy(f"data/evaluate/{name}", bundle / "rehearsal")
    CHOICES.write(bundle / "rehearsal")
    known = CONFIG | {"split_digest": data.split_digest[data.gate]} | config
    digest = refit(data, CHOICES, vectors(data), known, bundle)
    lineage = {"recipe": "twin", "params": {"snapshot": {"source": config.get("name", "films")}}}
    publish(LocalStore(Path("state/store")), bundle, channel="live", champion=None, lineage=lineage)
    write_json(Path("data/snapshot/champion.json"), {"digest": digest})
    return digest


def judged() -> dict[str, Any]:
    evaluate.main()
    found: dict[str, Any] = read_json(Path("data/evaluate/verdict.json"))
    return found
