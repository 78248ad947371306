"""The gate at its edges: nobody, one user, ties everywhere. Always a clear statement, never a silent 0 or NaN."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nightreel.evaluation.champion import Champion, Comparison
from nightreel.evaluation.gate.gate import Gate, GateEvidence, GateResult, decide
from nightreel.evaluation.model_scores import GATE_METRIC, intervals, score_models
from nightreel.evaluation.reporting.report_data import report_data
from nightreel.evaluation.segments.slice_definitions import slices_of
from nightreel.evaluation.test_set import TestSet, build_test_set
from nightreel.models.training.selected_params import SelectedParams
from tests.evaluation.rankers import Successors, plain, planted
from tests.support.settings import settings

SETTINGS = settings(evaluate={"bootstrap_replicates": 200, "cutoffs": [10]}).evaluate
CHOICES = SelectedParams(
    members={}, blend="popularity", columns=(), cutoff=50, shortlist=50, half_life_days=(), buckets=1, encoder="base",
    moment="last_event",
)  # fmt: skip
BEHIND = "lists ranked by the ranks of 2 models, fused"


def judged(folder: Path, users: int | None, champion_scale: float = 1.0) -> tuple[GateResult, dict[str, object]]:
    """The verdict on some users of the planted data, against a champion whose NDCG@10 is ours times a scale."""
    data = planted(folder)
    whole = build_test_set(data, "leave_last_out", None)
    question: TestSet = whole if users is None else whole.take(np.arange(users, dtype=np.int64))
    ranker = Successors(data.positives("leave_last_out", ("train", "valid")), data.n_items)
    scores = score_models([(question, ranker)], cutoffs=[10], **plain(data.n_items))
    own = scores.values["blend"][GATE_METRIC]
    rows = np.arange(len(own), dtype=np.int64)
    fair = Comparison("c", rows, scores.users, own, own * champion_scale, scores.lists["blend"][:, :10])
    config = {"clock": "time", "data_until": data.data_until}
    champion = Champion("c" * 64, config, tuple(data.item_ids), "films", CHOICES, None)
    items = data.items.append_column("published_at", [[None] * data.n_items]).append_column(
        "genres", [[[]] * data.n_items]
    )
    data = type(data)(**{**vars(data), "items": items.cast(items.schema)})
    evidence = GateEvidence(scores, [], [], data.data_until, data.clock, "d" * 64, data.item_ids, "films", BEHIND)
    gate = Gate(SETTINGS, 0)
    found = decide(gate, evidence, champion, blocked=False, compare=lambda _: fair)
    measured = {data.gate: (scores, intervals(scores, 200, np.random.default_rng(0)))}
    return found, report_data(data, [question], [], measured, found, gate)


@pytest.mark.parametrize(
    ("users", "scale", "label", "said"),
    [
        (0, 1.0, "not measured", "there are no test users"),
        (None, 0.0, "not worse", "where champion scores 0"),
        (None, 1.0, "not worse", "NDCG@10 +0.0% against champion"),  # ties everywhere
    ],
)
def test_the_edges_are_stated(tmp_path: Path, users: int | None, scale: float, label: str, said: str) -> None:
    found, report = judged(tmp_path, users, scale)
    assert found.verdict.label == label
    assert said in found.verdict.sentence
    json.dumps([found.verdict.model_dump(), report], allow_nan=False)


def test_one_user_is_no_proof(tmp_path: Path) -> None:
    found, report = judged(tmp_path, 1)
    assert found.verdict.rules[0].users == 1
    assert (found.verdict.decision, found.verdict.label) == ("hold", "not measured")
    assert "one test user is not enough" in found.verdict.sentence
    assert next(rule for rule in found.verdict.rules if rule.name == "no slice regression").state == "not measured"
    json.dumps([found.verdict.model_dump(), report], allow_nan=False)


def test_slices_of_nobody_are_none(tmp_path: Path) -> None:
    data = planted(tmp_path)
    nobody = build_test_set(data, "leave_last_out", None).take(np.empty(0, np.int64))
    items = data.items.append_column("published_at", [[None] * data.n_items])
    data = type(data)(**{**vars(data), "items": items})
    assert slices_of(data, [nobody], []) == []
