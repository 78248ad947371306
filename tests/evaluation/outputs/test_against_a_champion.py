"""The evaluate stage judging a champion, with a real store: its twin, drift, other data, a person's word."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from nightreel.bundle.format import read_manifest
from nightreel.data.dataset import load_dataset
from nightreel.evaluation.model_scores import GATE_METRIC, score_models
from nightreel.evaluation.test_set import build_test_set
from nightreel.reader.reader import Reader
from nightreel.settings import yaml_values
from nightreel.stage import read_json, write_json
from tasks import evaluate
from tests.evaluation.outputs.conftest import CHOICES, NEIGHBOURS, finetuned, judged, publish_twin
from tests.evaluation.rankers import plain


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
        "not worse than the champion", "better than popularity", "list integrity",
        "data freshness", "data drift", "no slice regression", "catalogue coverage", "behavioural tests",
    ]  # fmt: skip
    assert set(states.values()) == {"passed"}
    assert next(rule for rule in verdict["rules"] if rule["name"] == "catalogue coverage")["point"] == 1
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
    rule = next(rule for rule in judged()["rules"] if rule["name"] == "data drift")
    assert rule["text"] == "drift is not measured: the champion's bundle has no data profile"


def test_a_person_promotes_a_held_candidate_by_its_digest(workspace: Path) -> None:
    evaluate.main()
    data = load_dataset()
    publish_twin(data)
    worse = CHOICES.model_copy(
        update={"members": CHOICES.members | {"item_knn": NEIGHBOURS | {"neighbors": 1.0, "shrink": 500.0}}}
    )
    finetuned(data, worse)
    held = judged()
    assert held["decision"] == "reject"
    values = yaml_values.read(Path("params.yaml").read_text())
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
    question, twin = build_test_set(data, "leave_last_out", None), Reader.open()
    told = score_models([(question, twin)], cutoffs=[10], **plain(data.n_items))
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
    values = yaml_values.read(Path("params.yaml").read_text())
    values["snapshot"]["source"] = "other films"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    verdict = judged()
    assert (verdict["decision"], verdict["label"]) == ("promote", "replaced")
    assert "comes from 'films', not 'other films'" in verdict["sentence"]


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


def test_a_blocked_candidate_is_held_whatever_recipe_made_it(workspace: Path) -> None:
    candidate = read_manifest(Path("data/finetune/candidate")).digest
    write_json(Path("data/snapshot/blocked.json"), ["another recipe", candidate])
    assert judged()["label"] == "blocked"
