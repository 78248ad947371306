"""The evaluate stage over real bundles, with a real store: what it writes, and how it judges a champion."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tasks import evaluate, snapshot, validate
from tasks.data.dataset import Dataset, load_dataset
from tasks.evaluation.scores import GATE_METRIC, measure
from tasks.evaluation.trial import trial
from tasks.index.assembly import refit, rehearse
from tasks.index.local_store import LocalStore
from tasks.index.publisher import publish
from tasks.index.reader import Reader
from tasks.models.choices import Choices
from tasks.stage import UserError, read_json, write_json
from tests.datasets import write_dataset
from tests.tasks.evaluation.rankers import plain

ROOT = Path(__file__).parents[2]
NEIGHBOURS = {"neighbours": 100.0, "shrink": 20.0, "decay": 5.0}
CHOICES = Choices(
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
        values = yaml.safe_load((ROOT / "params.yaml").read_text())
        values["snapshot"] |= {"source": "films", "pseudonymise": "off"}
        values["validate"]["gate"] = "leave_last_out"
        values["evaluate"] |= {"replicates": 300, "cutoffs": [5, 10]}
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


def finetuned(data: Dataset, choices: Choices = CHOICES) -> None:
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


def test_what_it_writes(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = judged()
    data = load_dataset()
    assert (verdict["decision"], verdict["label"], verdict["model"]) == ("promote", "baseline", "blend")
    assert (verdict["champion"], verdict["comparison"], verdict["users"]) == (None, None, 120)
    decision = read_json(Path("data/evaluate/decision.json"))
    assert decision["choices"] == read_json(Path("data/finetune/choices.json"))
    assert set(decision) == {"choices", "decision", "label", "model"}
    scores = pq.read_table("data/evaluate/per_user.parquet")
    assert {"fold", "user", "user_id", "ndcg@10", "recall@5"} <= set(scores.column_names)
    assert scores["user_id"].to_pylist() == [data.user_ids[user] for user in scores["user"].to_pylist()]
    lists = pq.read_table("data/evaluate/lists.parquet")
    assert lists.num_rows == 1200
    assert set(lists["rank"].to_pylist()) == set(range(1, 11))
    assert set(pq.read_table("data/evaluate/scores.parquet")["model"].to_pylist()) == {"blend", *CHOICES.members}
    figures = read_json(Path("metrics/evaluate.json"))
    assert figures["gate"]["ndcg@10"] == pytest.approx(np.mean(scores["ndcg@10"].to_pylist()), abs=1e-6)
    assert figures["leave_last_out"]["ndcg@10"]["blend"] > 1.5 * figures["leave_last_out"]["ndcg@10"]["popularity"]
    curve = Path("data/evaluate/plots/by_k.csv").read_text().splitlines()
    assert len(curve) == 1 + 2 * 3 * 2  # protocols × models × cut-offs
    report = read_json(Path("data/evaluate/report.json"))
    assert report["protocols"]["leave_last_out"]["models"]["blend"]["beyond"]["gini@10"] == pytest.approx(
        figures["gate"]["gini@10"], abs=1e-6
    )
    assert len(report["samples"]) == 20
    assert {len(sample["challenger"]) for sample in report["samples"]} == {10}
    assert report["long_tail"]["challenger"][-1] == [1, 1]
    shown = capsys.readouterr().out
    assert "leave_last_out · 120 test users · decides" in shown
    assert "promote blend as the baseline: there is no champion yet" in shown


def test_the_same_inputs_give_the_same_bytes(workspace: Path) -> None:
    def contents() -> dict[str, bytes]:
        evaluate.main()
        files = [*Path("data/evaluate").rglob("*"), Path("metrics/evaluate.json")]
        return {str(path): path.read_bytes() for path in files if path.is_file()}

    assert contents() == contents()


def test_reads_of_the_test_split_are_counted_outside_the_outputs(workspace: Path) -> None:
    evaluate.main()
    evaluate.main()
    assert read_json(Path("state/notes/evaluate.json"))["test_reads"] == {"leave_last_out": 1, "global_time": 1}
    recipe = read_json(Path("data/snapshot/recipe.json"))
    write_json(Path("data/snapshot/recipe.json"), recipe | {"recipe": "another"})
    evaluate.main()
    assert read_json(Path("state/notes/evaluate.json"))["test_reads"]["leave_last_out"] == 2


def test_a_refit_twin_is_judged_by_its_rehearsal_and_never_directly(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate.main()
    data = load_dataset()
    twin = publish_twin(data)
    monkeypatch.setattr(Reader, "open", classmethod(lambda *_, **__: pytest.fail("the published bundle was asked")))
    verdict = judged()
    assert verdict["champion"] == twin
    assert (verdict["comparison"], verdict["rules"][0]["point"]) == ("a", 0)
    assert (verdict["decision"], verdict["label"]) == ("promote", "not worse")


PUBLISHED = ("card.json", "card.md", "profile.json", "directions.npy")


def test_every_rule_is_measured_against_a_champion_that_kept_its_lists(workspace: Path) -> None:
    evaluate.main()
    alone = [Path("data/evaluate", name).read_bytes() for name in PUBLISHED]
    publish_twin(load_dataset())
    verdict = judged()
    assert [Path("data/evaluate", name).read_bytes() for name in PUBLISHED] == alone, "the champion is no part of it"
    states = {rule["name"]: rule["state"] for rule in verdict["rules"]}
    assert list(states) == [
        "not worse than the champion", "better than popularity", "every list is sound",
        "data as fresh as the champion's", "data like the champion's", "no slice is broken", "coverage holds", "it behaves",
    ]  # fmt: skip
    assert set(states.values()) == {"passed"}
    assert next(rule for rule in verdict["rules"] if rule["name"] == "coverage holds")["point"] == 1
    assert any(each["upper"] == 0 for each in verdict["slices"])
    sample = read_json(Path("data/evaluate/report.json"))["samples"][0]
    assert sample["champion"] == sample["challenger"]


def test_drifted_data_hold_and_an_older_champion_tells_nothing(workspace: Path) -> None:
    evaluate.main()
    published = Path("state/store/versions", publish_twin(load_dataset()), "rehearsal/profile.json")
    told = read_json(published)
    told["spreads"]["event"]["marks"] = ["watch"]
    write_json(published, told)
    verdict = judged()
    assert (verdict["decision"], verdict["label"]) == ("hold", "drifted data")
    assert "event: PSI" in verdict["sentence"]
    published.unlink()
    rule = next(rule for rule in judged()["rules"] if rule["name"] == "data like the champion's")
    assert rule["text"] == "drift is not measured: the champion's version keeps no profile of its data"


def test_a_person_promotes_a_held_candidate_by_its_digest(workspace: Path) -> None:
    evaluate.main()
    data = load_dataset()
    publish_twin(data)
    worse = CHOICES.model_copy(
        update={"members": CHOICES.members | {"item_knn": NEIGHBOURS | {"neighbours": 1.0, "shrink": 500.0}}}
    )
    finetuned(data, worse)
    held = judged()
    assert held["decision"] == "reject"
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["evaluate"]["override"] = {
        "candidate": held["candidate"][:10],
        "decision": "promote",
        "by": "Ann",
        "reason": "a test",
    }
    Path("params.yaml").write_text(yaml.safe_dump(values))
    verdict = judged()
    assert (verdict["decision"], verdict["label"]) == ("promote", "overridden")
    assert verdict["override"]["by"] == "Ann"
    assert verdict["rules"] == held["rules"]
    assert read_json(Path("data/evaluate/decision.json"))["label"] == "overridden"


def test_a_refit_twin_of_another_split_is_trained_again(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate.main()
    data = load_dataset()
    publish_twin(data, split_digest="yesterday's")
    monkeypatch.setattr(Reader, "open", classmethod(lambda *_, **__: pytest.fail("the published bundle was asked")))
    verdict = judged()
    assert (verdict["comparison"], verdict["rules"][0]["point"]) == ("c", 0)
    assert "rule (c)" in verdict["sentence"]


def test_a_direct_score_of_the_twin_would_have_been_absurd(workspace: Path) -> None:
    """Why the rules are there: the twin knows the answers, whichever way it is asked."""
    evaluate.main()
    data = load_dataset()
    publish_twin(data)
    question, twin = trial(data, "leave_last_out", None), Reader.open()
    told = measure([(question, twin)], cutoffs=[10], **plain(data.n_items))
    fair = read_json(Path("metrics/evaluate.json"))["gate"]["ndcg@10"]
    assert told.mean("blend", GATE_METRIC) > 1.1 * fair
    by_id = twin.recommend_users([data.user_ids[user] for user in question.users], 10).to_pylist()
    test = data.positives("leave_last_out", ("test",))
    truth = {(data.user_ids[user], data.item_ids[item]) for user, item in zip(test.rows, test.items, strict=True)}
    assert not [row for row in by_id if (row["user_id"], row["item_id"]) in truth]


def test_a_catalogue_of_other_items_is_held_on_a_schedule_and_replaced_for_other_data(workspace: Path) -> None:
    evaluate.main()
    data = load_dataset()
    publish_twin(data)
    renamed = pq.read_table("data/validate/items.parquet")
    names = [f"new-{n}" for n in range(renamed.num_rows)]
    pq.write_table(
        renamed.set_column(renamed.schema.get_field_index("item_id"), "item_id", [names]), "data/validate/items.parquet"
    )
    assert judged()["label"] == "not comparable"
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["snapshot"]["source"] = "other films"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    verdict = judged()
    assert (verdict["decision"], verdict["label"]) == ("promote", "replaced")
    assert "comes from 'films', not 'other films'" in verdict["sentence"]


def test_a_model_below_popularity_is_replaced_by_it_in_the_choices(workspace: Path) -> None:
    data = load_dataset()
    # Content that tells nothing: random vectors.
    useless = CHOICES.model_copy(
        update={"blend": "content_knn", "members": CHOICES.members | {"content_knn": {"decay": 5.0}}}
    )
    finetuned(data, useless)
    verdict = judged()
    assert (verdict["label"], verdict["model"]) == ("baseline", "popularity")
    assert read_json(Path("data/evaluate/decision.json"))["choices"]["blend"] == "popularity"
    scores = read_json(Path("metrics/evaluate.json"))
    assert scores["gate"]["ndcg@10"] == scores["leave_last_out"]["ndcg@10"]["popularity"]


def test_a_champion_that_is_not_in_the_store_is_held_with_the_reason(workspace: Path) -> None:
    write_json(Path("data/snapshot/champion.json"), {"digest": "f" * 64})
    verdict = judged()
    assert (verdict["decision"], verdict["label"]) == ("hold", "champion unreadable")
    assert "the champion ffffffffffff can't be read" in verdict["sentence"]
    assert read_json(Path("data/evaluate/decision.json"))["decision"] == "hold"


def test_a_blocked_recipe_is_held(workspace: Path) -> None:
    recipe = read_json(Path("data/snapshot/recipe.json"))["recipe"]
    write_json(Path("data/snapshot/blocked.json"), [recipe])
    assert judged()["label"] == "blocked"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda: Path("data/validate/splits.parquet").write_bytes(b"PAR1"), "splits.parquet"),
        (lambda: Path("data/finetune/candidate/users.parquet").unlink(), "users.parquet"),
        (lambda: Path("data/finetune/choices.json").write_text("{"), "choices.json"),
    ],
)
def test_broken_inputs_are_named_and_leave_no_output(workspace: Path, break_it: Any, message: str) -> None:
    break_it()
    with pytest.raises(UserError, match=message):
        evaluate.main()
    assert not Path("data/evaluate").exists()


def test_the_verdict_is_plain_json(workspace: Path) -> None:
    evaluate.main()
    assert (
        json.loads(Path("data/evaluate/verdict.json").read_text("utf-8"))["rules"][0]["name"]
        == "better than popularity"
    )
