from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nightreel.evaluation.validation import ndcg
from nightreel.models.outcomes.outcome_log import OutcomeLog
from nightreel.models.training.fold_task import Cuts, Task, task_in_time
from nightreel.models.training.heads import outcome_examples as saving
from nightreel.models.training.heads.head_selection import fit_curve, fit_head, select_heads
from nightreel.models.training.heads.outcome_examples import MetItems, OutcomeExamples, concatenated, outcome_examples
from nightreel.models.training.model_selection import initial_params, select_models
from nightreel.models.training.training_examples import Validator
from tests.support.planted import catalogue, choices, engine, histories
from tests.support.settings import settings

SETTINGS = settings(
    finetune={
        "members": {"popularity": {"half_life_days": [7], "buckets": [8]}, "content_knn": {"decay": [1]}},
        "time_cuts": 3,
        "candidates": 20,
        "shortlist": 20,
    }
).finetune
TREES = SETTINGS.trees.model_copy(update={"min_data_in_leaf": 5, "num_trees": (20,)})
JUDGE = Validator(ndcg, exclude_seen=True, clock=True, threads=1)


def log_of(like: np.ndarray | None = None) -> OutcomeLog:
    """Every event of the planted histories is wanted, and those of old items (or as given) are liked."""
    past = histories()
    liked = past.items < 30 if like is None else like
    return OutcomeLog(
        past.rows, past.items.astype(np.int64), past.times, {"wanted": np.ones(len(liked), bool), "like": liked}
    )


def examples_of(seed: int, telling: bool, rows: int = 1500) -> OutcomeExamples:
    """Made-up examples whose first feature tells the likes, or nothing does."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, 3)).astype(np.float32)
    chance = 1 / (1 + np.exp(-(2 * matrix[:, 0] - 1.5))) if telling else np.full(rows, 0.2)
    labels = np.column_stack([rng.random(rows) < 0.5, rng.random(rows) < chance])
    return OutcomeExamples(("a", "b", "c"), ("wanted", "like"), matrix, labels, np.arange(rows) // 5, matrix[:, 1])


def test_a_head_that_tells_something_stays() -> None:
    cuts = [examples_of(seed, telling=True) for seed in range(3)]
    heads, (trial,) = select_heads(cuts, cuts[-1], TREES, 1, 1)
    assert heads is not None and trial.kept and trial.loss < trial.base_loss - trial.error
    later = examples_of(9, telling=True)
    found = heads.by_outcome["like"].probability(later.matrix)
    assert abs(found.mean() - later.label("like").mean()) < 0.03  # calibrated
    high = found > np.median(found)
    assert abs(found[high].mean() - later.label("like")[high].mean()) < 0.05


@pytest.mark.parametrize("seed", [0, 10, 20])
def test_a_head_of_shuffled_labels_stays_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cuts = []
    for number in range(3):
        own = examples_of(seed + number, telling=True)
        cuts.append(replace(own, labels=own.labels[rng.permutation(len(own.labels))]))
    heads, (trial,) = select_heads(cuts, cuts[-1], TREES, 1, 1)
    assert heads is None and trial.why == "it tells no more than the base rate"


def test_too_few_outcomes_stay_out() -> None:
    cuts = [examples_of(seed, telling=True) for seed in range(2)]
    few = cuts[0].labels.copy()
    few[np.flatnonzero(few[:, 1])[5:], 1] = False
    heads, (trial,) = select_heads([replace(cuts[0], labels=few), cuts[1]], cuts[1], TREES, 1, 1)
    assert heads is None and "5 before the last cut and" in trial.why


def test_one_cut_is_no_test() -> None:
    assert select_heads([examples_of(0, telling=True)], examples_of(0, telling=True), TREES, 1, 1) == (None, [])


def test_a_curve_does_not_fall() -> None:
    scores, labels = np.arange(40.0), np.arange(40) < 20
    assert fit_curve(scores, ~labels).scale > 0
    assert fit_curve(scores, labels).scale == 0.0 and fit_curve(scores, labels).probability(scores)[0] == 0.5
    assert fit_curve(scores, np.zeros(40, bool)).probability(scores).max() < 1e-5


def test_examples_are_what_was_met_and_as_many_other_candidates() -> None:
    past, start = histories(), float(np.quantile(histories().times, 0.6))
    known, log = past.before(start), log_of()
    met = MetItems.of(log, known, start, np.inf, 30, np.random.default_rng(0))
    assert len(met.users) == 30 and (known.lengths[met.users] > 0).all()
    found = outcome_examples(engine(known), known, met, start, True, np.random.default_rng(0))
    own = found.labels.any(axis=1)  # every met item is wanted
    assert own.sum() == len(met.items)
    counts = np.array(
        [[(own & (found.users == user)).sum(), (~own & (found.users == user)).sum()] for user in met.users]
    )
    assert (counts[:, 0] >= counts[:, 1]).all() and counts[:, 1].sum() > 0.5 * counts[:, 0].sum()
    assert np.isfinite(found.standing).all() and found.standing[own].mean() > found.standing[~own].mean()
    first = met.users[0]
    truth = np.unique(past.items[(past.rows == first) & (past.times >= start)])
    assert met.items[met.rows == 0].tolist() == truth.tolist()
    assert met.labels[met.rows == 0, 1].tolist() == (truth < 30).tolist()


def test_examples_are_saved(tmp_path: Path) -> None:
    one = examples_of(0, telling=True)
    saving.save(one, tmp_path / "one")
    read = saving.saved(tmp_path / "one")
    assert read.columns == one.columns and read.outcomes == one.outcomes
    np.testing.assert_array_equal(read.matrix, one.matrix)
    assert len(concatenated([]).users) == 0 and len(concatenated([one, read]).users) == 2 * len(one.users)


def task(log: OutcomeLog | None) -> Task:
    return replace(task_in_time(histories(), Cuts(3, 60, 0.15, new=True)), outcomes=log)


def test_a_night_selects_heads_and_the_ranker_is_the_same_without_them() -> None:
    base = initial_params(SETTINGS, "base", "data_until")
    own = SETTINGS.model_copy(update={"trees": TREES})
    plain = select_models(task(None), catalogue(), own, base, JUDGE)
    found = select_models(task(log_of()), catalogue(), own, base, JUDGE)
    assert plain.choices.heads is None and plain.outcomes is None and not plain.heads
    assert found.choices.heads is not None and [each["outcome"] for each in found.heads] == ["like"]
    assert found.choices.model_copy(update={"heads": None}) == plain.choices
    np.testing.assert_array_equal(found.examples.matrix, plain.examples.matrix)
    assert all(each.outcomes is not None for each in found.selection.cuts)


def test_choices_keep_their_heads(tmp_path: Path) -> None:
    from nightreel.models.training.selected_params import HeadsParams, SelectedParams

    cuts = [examples_of(seed, telling=True) for seed in range(2)]
    heads, _ = select_heads(cuts, cuts[-1], TREES, 1, 1)
    assert heads is not None
    own = choices().model_copy(update={"heads": HeadsParams.of(heads)})
    own.write(tmp_path)
    assert SelectedParams.read(tmp_path) == own and own.heads is not None and own.heads.opened() == heads
    assert (tmp_path / "heads" / "like.txt").exists() and "Tree=0" not in (tmp_path / "choices.json").read_text("utf-8")
    choices().write(tmp_path / "plain")
    assert "heads" not in (tmp_path / "plain" / "choices.json").read_text("utf-8")


def test_a_head_needs_no_user_twice() -> None:
    few = examples_of(0, telling=True, rows=10)
    assert fit_head(few, "like", TREES, 1, 1).probability(few.matrix).shape == (10,)
