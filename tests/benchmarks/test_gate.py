"""The gate's benchmark: its generator is what it says, and the shipped gate stops one of each planted regression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.evaluation import gate as benchmark
from benchmarks.evaluation.planted_regressions import ITEMS, PLANTS, Night, broken_slice, lists, ranks, world
from nightreel.evaluation.gate.gate import Gate
from nightreel.evaluation.list_checks import Hidden, faults
from nightreel.evaluation.metrics.ranking import per_user
from nightreel.settings.params_file import load

N = 20_000
EXPECTED = {
    "A/A": "not worse", "5% loss": "worse", "broken slice": "broken slice", "popularity collapse": "low coverage",
    "leaked seen items": "broken lists", "NaN scores": "broken lists", "stale data": "stale data",
}  # fmt: skip


@pytest.fixture(scope="module")
def gate() -> Gate:
    settings = load(Path(__file__).parents[2] / "params.yaml")
    return Gate(settings.evaluate.model_copy(update={"bootstrap_replicates": 400}), settings.finetune.seed)


@pytest.mark.parametrize("name", PLANTS)
def test_each_regression_is_stopped_for_its_own_reason(gate: Gate, name: str) -> None:
    found = benchmark.verdict(gate, PLANTS[name], N, 0.9, np.random.default_rng(1))
    assert found.label == EXPECTED[name]
    assert found.decision == {"not worse": "promote", "stale data": "hold"}.get(found.label, "reject")


def test_with_few_users_the_gate_says_that_it_cannot_tell(gate: Gate) -> None:
    found = benchmark.verdict(gate, PLANTS["A/A"], 300, 0.9, np.random.default_rng(2))
    assert (found.decision, found.label) == ("promote", "unproven")
    rule = found.rules[0]
    assert rule.state == "inconclusive"
    assert rule.users_needed and rule.users_needed > 300
    assert rule.detectable and rule.detectable > 0.03
    assert f"about {rule.users_needed:,} users would be needed" in found.sentence


def test_the_curve_says_both_rates_and_what_it_would_need() -> None:
    counts = {}
    for n, label, needed in ((300, "unproven", 9000), (20_000, "not worse", None)):
        told = {name: benchmark.Tally() for name in PLANTS}
        told["A/A"].labels[f"promote: {label}"] += 3
        told["A/A"].labels["reject: worse"] += 1
        told["A/A"].needed.extend([needed] if needed else [])
        told["A/A"].detectable.append(0.05)
        counts[n] = told
    columns = [list(column.cells) for column in benchmark.curve(counts).columns]
    assert [column[0] for column in columns] == ["A/A", "25% (75%)", "25% (0%)"]
    assert [column[-2] for column in columns[1:]] == ["9,000", "–"]
    assert [column[-1] for column in columns[1:]] == ["5.0%", "5.0%"]


def test_the_generator_is_what_it_says() -> None:
    rng = np.random.default_rng(0)
    asked = world(N, rng)
    ours, theirs = ranks(asked, 0.9, rng), ranks(asked, 0.9, rng)
    shown = lists(asked, ours)
    found = per_user(shown, asked.trial.truth, [10])
    assert found["ndcg@10"].mean() == pytest.approx(0.13, abs=0.02)
    assert found["hit_rate@10"].mean() == pytest.approx((ours < 10).mean())
    assert np.corrcoef(np.log1p(ours), np.log1p(theirs))[0, 1] == pytest.approx(0.9, abs=0.03)
    nothing = Hidden(np.zeros(ITEMS, bool))
    assert not any(faults(asked.trial, shown, np.ones(N, bool), nothing).values())


def test_a_broken_slice_leaves_the_whole_as_it_was() -> None:
    rng = np.random.default_rng(0)
    asked = world(N, rng)
    rank = ranks(asked, 0.9, rng)
    night = Night(lists(asked, rank), np.ones(N, bool), 0.0)
    broken = broken_slice(asked, rank, replace(night), rng)
    before, after = (per_user(each.lists, asked.trial.truth, [10])["ndcg@10"] for each in (night, broken))
    inside = asked.language == "pt"
    assert after.mean() == pytest.approx(before.mean(), rel=0.01)
    assert after[inside].mean() == pytest.approx(0.8 * before[inside].mean(), rel=0.05)
