"""What the evaluate stage writes, over real bundles, and what it refuses to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from nightreel.data.dataset import load_dataset
from nightreel.errors import UserError
from nightreel.stage import read_json, write_json
from tasks import evaluate
from tests.evaluation.outputs.conftest import CHOICES, finetuned, judged


def test_what_it_writes(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = judged()
    data = load_dataset()
    assert (verdict["decision"], verdict["label"], verdict["model"]) == ("promote", "baseline", "blend")
    assert (verdict["champion"], verdict["comparison"], verdict["users"]) == (None, None, 120)
    decision = read_json(Path("data/evaluate/decision.json"))
    assert decision["choices"] == read_json(Path("data/finetune/choices.json"))
    assert set(decision) == {"candidate", "choices", "decision", "label", "model", "refresh"} and decision["refresh"]
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
    assert "leave_last_out · 120 test users · used by the gate" in shown
    assert "Promoted as the baseline: no version is live yet" in shown


def test_a_sample_users_list_is_explained_from_their_own_history(workspace: Path) -> None:
    """A bundle has its users in another order than the data: by their ids."""
    judged()
    data = load_dataset()
    titles, row_of = data.items["title"].to_pylist(), {user: row for row, user in enumerate(data.user_ids)}
    known = data.positives("leave_last_out", ("train", "valid"))
    samples = read_json(Path("data/evaluate/report.json"))["samples"]
    assert data.users_by_id.tolist() != sorted(data.users_by_id.tolist()) and any(each["evidence"] for each in samples)
    for sample in samples:
        own = {titles[item] for item in known.row(row_of[sample["user"]]).items.tolist()}
        assert {title for title, _ in sample["evidence"]} <= own
        assert sample["why"][0][0] != "popular: added to fill the list", "the model itself ranked it first"


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


def test_a_model_surely_below_popularity_is_replaced_by_it_in_the_choices(workspace: Path) -> None:
    data = load_dataset()
    # What item_knn thinks least of stands first.
    upside_down = CHOICES.model_copy(
        update={"blend": "weighted", "columns": ("item_knn.relative",), "weights": (-1.0,)}
    )
    finetuned(data, upside_down)
    verdict = judged()
    assert (verdict["label"], verdict["model"]) == ("baseline", "popularity")
    assert verdict["rules"][0]["high"] < 0 and "Lists ranked by popularity" in verdict["sentence"]
    assert read_json(Path("data/evaluate/decision.json"))["choices"]["blend"] == "popularity"
    scores = read_json(Path("metrics/evaluate.json"))
    assert scores["gate"]["ndcg@10"] == scores["leave_last_out"]["ndcg@10"]["popularity"]


def test_a_model_that_may_be_below_popularity_stays_and_is_not_called_better(workspace: Path) -> None:
    data = load_dataset()
    # Content that tells nothing: random vectors. It has 13% less, with bounds from 43% less to 37% more.
    useless = CHOICES.model_copy(
        update={"blend": "content_knn", "members": CHOICES.members | {"content_knn": {"decay": 5.0}}}
    )
    finetuned(data, useless)
    verdict = judged()
    rule = verdict["rules"][0]
    assert (verdict["label"], verdict["model"], rule["state"]) == ("baseline", "blend", "failed")
    assert rule["point"] < 0 < rule["high"]
    assert verdict["sentence"].endswith("this one would be rejected: not better than popularity.")
    assert read_json(Path("data/evaluate/decision.json"))["choices"]["blend"] == "content_knn"
    scores = read_json(Path("metrics/evaluate.json"))
    assert scores["gate"]["ndcg@10"] == scores["leave_last_out"]["ndcg@10"]["blend"]


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
