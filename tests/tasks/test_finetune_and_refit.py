"""finetune and refit over a planted data set: what they write, what they hold, and that equal runs are equal."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nightreel.bundle.format import digest_of, read_manifest, verify
from nightreel.data.dataset import load_dataset
from nightreel.models.exploration import posterior
from nightreel.models.training.selected_params import SelectedParams
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from nightreel.settings import yaml_values
from nightreel.stage import read_json, state_directory, write_json
from nightreel.store.open import open_store
from nightreel.store.publisher import publish
from tasks import evaluate, finetune, refit
from tests.models.neural.test_transformer import HYPER
from tests.support.datasets import prepare, understand_nothing, workspace, write_dataset

pytestmark = pytest.mark.end_to_end

CHANGES: dict[str, Any] = {
    "finetune.encoder_steps": 0,
    "finetune.fusion": {"steps": 0, "pairs": 2, "learning_rate": 0.003, "temperature": 0.5, "dropout": 0.3},
    "finetune.positions": 2,
    "finetune.members": {
        "popularity": {"half_life_days": [30], "buckets": [8]},
        "content_knn": {"decay": [5]},
        "ease": {"regularization": [20], "decay": [5, 20], "top_weights": [64], "max_items": [1000]},
        "slist": {
            "regularization": [20], "window": [5], "horizon": [1], "decay": [5], "horizon_decay": [1], "top_weights": [64],
            "max_items": [1000],
        },
    },
    "evaluate.bootstrap_replicates": 200,
}  # fmt: skip


def vectors(folder: Path) -> None:
    """Content vectors that tell the planted groups apart, in embed's form."""
    items = load_dataset(folder / "data/validate").items["item_id"].to_pylist()
    rng = np.random.default_rng(0)
    raw = np.eye(2, 8)[[int(item[1:]) % 2 for item in items]] + 0.1 * rng.normal(size=(len(items), 8))
    (folder / "data/embed").mkdir(parents=True)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.save(folder / "data/embed/vectors.npy", unit.astype(np.float32))
    write_json(folder / "data/embed/embed.json", {"encoder": "planted", "dim": 8})


def trained(folder: Path) -> Path:
    """The workspace of validated data after embed, finetune, evaluate and refit."""
    vectors(folder)
    understand_nothing(folder)
    with workspace(folder):
        finetune.main()
        evaluate.main()
        refit.main()
    return folder


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after finetune and evaluate."""
    root = tmp_path_factory.mktemp("finetuned")
    source = write_dataset(root / "source", users=150, events=3600).folder
    folder = prepare(root / "work", source, CHANGES)
    vectors(folder)
    understand_nothing(folder)
    with workspace(folder):
        finetune.main()
        evaluate.main()
    return folder


@pytest.fixture
def work(finetuned: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(finetuned, tmp_path / "work")
    return tmp_path / "work"


def test_every_fold_has_a_sealed_candidate_that_never_saw_its_test(finetuned: Path) -> None:
    data = load_dataset(finetuned / "data/validate")
    folders = {"leave_last_out": finetuned / "data/finetune/candidate"}
    folders["global_time"] = finetuned / "data/finetune/candidates/global_time"
    assert data.gate == "leave_last_out" and set(data.folds) == set(folders)
    for fold, folder in folders.items():
        verify(folder)
        known = Reader.open_bundle(folder).users.histories
        held = data.positives(fold, ("test",))
        assert len(held.items) > 0
        assert len(known.items) == len(data.positives(fold, ("train", "valid")).items)


def test_choices_and_curves_are_written(finetuned: Path) -> None:
    out = finetuned / "data/finetune"
    choices = SelectedParams.read(out)
    assert set(choices.members) == {"popularity", "content_knn", "ease", "slist"}
    assert (choices.blend == "trees") == bool(choices.trees)
    lines = (out / "plots/trials.csv").read_text().splitlines()
    assert lines[0] == "fold,member,setting,ndcg@10" and len(lines) == 1 + 2 * 2, (
        "two folds, and ease alone has two settings"
    )
    metrics = read_json(finetuned / "metrics/finetune.json")["leave_last_out"]
    assert metrics[choices.ranker] == max(score for name, score in metrics.items() if name not in choices.members)


def test_finetune_twice_gives_the_same_bytes(work: Path) -> None:
    before = digest_of(work / "data/finetune/candidate")
    with workspace(work):
        assert finetune.main() == 0.0
    assert digest_of(work / "data/finetune/candidate") == before


def test_folds_side_by_side_give_the_same_bytes(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def contents() -> dict[str, bytes]:
        files = [path for path in (work / "data/finetune").rglob("*") if path.is_file()]
        return {str(path.relative_to(work)): path.read_bytes() for path in files}

    environment = work / "data/snapshot/environment.json"
    write_json(environment, read_json(environment) | {"threads": 2})
    with workspace(work):
        assert finetune.main() == 0.0
        before = contents()
        monkeypatch.setattr(finetune, "WORTH_A_PROCESS", 0)
        assert finetune.main() > 100e6, "two processes beside this one"
    assert contents() == before


def test_trained_ahead_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fold, six events a user: the transformer learns anew at each link, in the process beside from the second on."""
    source = write_dataset(tmp_path / "source", users=150, events=900, clock="order").folder
    members = CHANGES["finetune.members"] | {
        "transformer": {name: [value] for name, value in (HYPER | {"epochs": 1.0, "most_new": 0.0}).items()}
    }
    folder = prepare(tmp_path / "work", source, CHANGES | {"finetune.members": members})
    vectors(folder)
    understand_nothing(folder)
    environment = folder / "data/snapshot/environment.json"
    write_json(environment, read_json(environment) | {"threads": 2})
    with workspace(folder):
        assert finetune.main() == 0.0
        before = digest_of(folder / "data/finetune/candidate")
        monkeypatch.setattr(finetune, "WORTH_A_PROCESS", 0)
        assert finetune.main() > 100e6, "a process with torch beside this one"
    assert digest_of(folder / "data/finetune/candidate") == before


def test_on_promote_the_final_bundle_knows_every_event(work: Path) -> None:
    with workspace(work):
        assert read_json(Path("data/evaluate/decision.json"))["decision"] == "promote"
        refit.main()
        digest = digest_of(Path("data/refit/bundle"))
        refit.main()
        assert digest_of(Path("data/refit/bundle")) == digest
        data = load_dataset()
    reader = Reader.open_bundle(work / "data/refit/bundle")
    assert len(reader.users.histories.items) == len(data.positives(None).items)
    assert reader.stored.lists is not None and len(reader.stored.lists.items) == len(reader.users) + 1
    assert (work / "data/refit/bundle/rehearsal/per_user.parquet").exists()
    card = read_json(work / "data/refit/bundle/card.json")
    assert set(card["recipe"]["members"]) == {"popularity", "content_knn", "ease", "slist"}
    assert (
        card["encoder"]["encoder"] == "planted"
        and card["terms"] == "none given (put them in terms.txt next to the tables)"
    )
    assert read_json(work / "metrics/refit.json")["shipped"] == reader.config["label"] == "baseline"


def test_a_share_of_exploration_adds_a_posterior_and_nothing_else(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posterior, "KNOWN", 0.01)  # in so small a catalogue each item is known well enough
    with workspace(work):
        refit.main()
        shutil.move("data/refit/bundle", "without")
        path = Path("params.yaml")
        values = yaml_values.read(path.read_text())
        assert values["refit"]["explore"] == 0
        values["refit"]["explore"] = 0.2
        path.write_text(yaml.safe_dump(values))
        refit.main()
        files, before = (read_manifest(Path(name)) for name in ("data/refit/bundle", "without"))
    own = {name for name in files.files if name.startswith("exploration/")} | {"config.json"}
    assert len(own) == 11 and set(files.files) - set(before.files) == own - {"config.json"}
    assert all(files.files[name] == before.files[name] for name in set(files.files) - own)
    assert files.config == before.config | {"explore": 0.2} and "explore" not in before.config
    reader, without = (Reader.open_bundle(work / name) for name in ("data/refit/bundle", "without"))
    assert reader.exploration is not None and len(reader.exploration.rows) > 10
    users = reader.user_ids.to_pylist()[:50]
    assert reader.recommend_users(users, 10).equals(without.recommend_users(users, 10))
    found = [each.reason for user in users for each in reader.recommend(user, k=10)]
    assert 0.1 < found.count("explored") / len(found) < 0.3
    plain = RequestOptions(explore=0.0)
    for user in users:
        assert reader.recommend(user, k=10, options=plain) == without.recommend(user, k=10)


def decide(**changes: Any) -> None:
    """evaluate's decision, with changes."""
    path = Path("data/evaluate/decision.json")
    write_json(path, read_json(path) | changes)


def test_on_hold_without_a_live_version_there_is_an_explicit_nothing(work: Path) -> None:
    with workspace(work):
        decide(decision="reject", label="worse", refresh=True)
        refit.main()
    assert read_json(work / "data/refit/held.json") == {"empty": "reject by evaluate: worse"}
    assert not (work / "data/refit/bundle").exists()
    assert read_json(work / "metrics/refit.json") == {"shipped": "nothing"}


def live(work: Path) -> str:
    """The promoted bundle published and pinned, as the next night finds it; its digest."""
    refit.main()
    facts = read_json(Path("data/snapshot/recipe.json"))
    digest = publish(open_store(), Path("data/refit/bundle"), channel="live", champion=None, lineage=facts).digest
    write_json(Path("data/snapshot/champion.json"), {"digest": digest})
    return digest


def test_on_a_rejected_night_what_is_live_is_refitted_twice(work: Path) -> None:
    with workspace(work):
        digest = live(work)
        choices = SelectedParams.read(Path("data/refit/bundle/rehearsal"))
        decide(decision="reject", label="worse", refresh=True)
        for _ in range(2):
            refit.main()
            reader = Reader.open_bundle(Path("data/refit/bundle"))
            assert SelectedParams.read(Path("data/refit/bundle/rehearsal")) == choices
            candidate = Reader.open_bundle(Path("data/finetune/candidate"))
            assert reader.config["label"] == "refreshed"
            assert reader.config["split_digest"] == candidate.config["split_digest"]  # the log that it has learned
            assert reader.config["refreshed"] == digest
            data = load_dataset()
            own = data.positives(None).take(data.users_by_id)
            assert reader.user_ids.to_pylist() == sorted(data.user_ids)
            assert reader.users.histories.items.tolist() == own.items.tolist()
            assert read_json(Path("metrics/refit.json"))["shipped"] == "refreshed"
            facts = read_json(Path("data/snapshot/recipe.json"))
            found = publish(open_store(), Path("data/refit/bundle"), channel="live", champion=digest, lineage=facts)
            digest = found.digest
            write_json(Path("data/snapshot/champion.json"), {"digest": digest})


def test_a_night_that_may_not_refresh_leaves_what_is_live(work: Path) -> None:
    with workspace(work):
        live(work)
        decide(decision="hold", label="stale data", refresh=False)
        refit.main()
    assert read_json(work / "data/refit/held.json") == {"empty": "hold by evaluate: stale data"}


def test_a_bundle_beyond_its_size_or_memory_is_held(work: Path) -> None:
    path = work / "params.yaml"
    values = yaml_values.read(path.read_text())
    values["refit"] |= {"bundle_mb": 0.001, "memory_mb": 1}
    path.write_text(yaml.safe_dump(values))
    with workspace(work):
        refit.main()
        told = read_json(state_directory() / "notes" / "refit.json")
    assert 20 < told["memory_mb"] < 1000 and told["latency_ms"] > 0
    held = read_json(work / "data/refit/held.json")["empty"]
    assert "MB (limit 0)" in held and "a reader needs more than 1 MB of memory" in held
    assert not (work / "data/refit/bundle").exists()
