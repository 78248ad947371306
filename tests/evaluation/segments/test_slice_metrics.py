"""Every figure of every slice: parts add up to the whole, and the whole is what the models' table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nightreel.evaluation.beyond_accuracy import beyond_accuracy_metrics
from nightreel.evaluation.metrics.ranking import METRICS
from nightreel.evaluation.model_scores import intervals, score_models
from nightreel.evaluation.segments.slice_metrics import slice_figures
from nightreel.evaluation.segments.slices import Slice
from nightreel.evaluation.test_set import build_test_set
from tests.evaluation.rankers import Successors, plain, planted


def test_parts_add_up_to_the_whole(tmp_path: Path) -> None:
    data = planted(tmp_path)
    whole = build_test_set(data, "leave_last_out", None)
    ranker, catalogue = (
        Successors(data.positives("leave_last_out", ("train", "valid")), data.n_items),
        plain(data.n_items),
    )
    asked = [whole.take(np.arange(7)), whole.take(np.arange(7, len(whole)))]  # two folds, cut inside a slice
    scores = score_models([(each, ranker) for each in asked], cutoffs=[10], **catalogue)
    first = np.arange(len(whole)) < len(whole) // 3
    told = [Slice("all", "all", np.ones(len(whole), bool)), Slice("part", "a", first), Slice("part", "b", ~first),
            Slice("part", "none", np.zeros(len(whole), bool))]  # fmt: skip
    weights = np.random.default_rng(0).multinomial(len(whole), np.full(len(whole), 1 / len(whole)), 200).astype(float)
    found = slice_figures(told, asked, scores, "blend", catalogue["catalogue"], lambda sums: weights @ sums)
    every, a, b = found
    assert [each.name for each in found] == ["all", "a", "b"] and every.users == a.users + b.users == len(whole)
    overall = intervals(scores, 200, np.random.default_rng(0))["blend"]
    for name in (f"{metric}@10" for metric in METRICS):
        assert every.metrics[name].point == pytest.approx(overall[name].point)
        parts = (a.users * a.metrics[name].point + b.users * b.metrics[name].point) / every.users
        assert parts == pytest.approx(every.metrics[name].point)
        assert a.metrics[name].low <= a.metrics[name].point <= a.metrics[name].high
    assert every.beyond == pytest.approx(scores.beyond_accuracy["blend"]) and "serendipity@10" in every.beyond
    rest, lists = whole.take(np.flatnonzero(~first)), {name: own[~first] for name, own in scores.lists.items()}
    # One fold asked of b is as two, but for what is of whole lists' sets: coverage and its like.
    alone = beyond_accuracy_metrics([rest], [lists["blend"]], [lists["popularity"]], catalogue["catalogue"])
    for name in ("novelty@10", "serendipity@10"):
        assert b.beyond[name] == pytest.approx(alone[name])
