from __future__ import annotations

from collections.abc import Sequence

import lightgbm
import numpy as np
import pytest

from nightreel.data.histories import FloatArray, Histories, ItemArray
from nightreel.errors import UserError
from nightreel.models.base import Recommender
from nightreel.models.ranker.blend import TREES, Blend, best_of_rows
from nightreel.models.ranker.candidates import Candidates
from nightreel.models.registry import require_known, spec
from nightreel.models.training.fold_task import leave_last_out_task
from nightreel.models.training.lambdamart import fit_lambdamart
from nightreel.models.training.model_selection import (
    choose_blend,
    choose_member,
    choose_members,
    initial_params,
    select_models,
    try_member,
)
from nightreel.models.training.one_standard_error import PositionScores
from nightreel.models.training.training_examples import Validator, asked_for, examples
from nightreel.models.training.training_positions import tail, without_tail
from tests.support.planted import catalogue, choices, engine, histories
from tests.support.settings import settings

SMALL = settings(
    finetune={
        "positions": 3,
        "members": {"popularity": {"half_life_days": [7], "buckets": [8]}, "content_knn": {"decay": [1, 5]}},
    }
).finetune


def ndcg(lists: ItemArray, targets: Histories) -> FloatArray:
    """One target a row is all that these tests have."""
    hit = lists == targets.items[:, None]
    return np.asarray((hit / np.log2(np.arange(2, lists.shape[1] + 2))).sum(axis=1), np.float64)


JUDGE = Validator(ndcg, exclude_seen=True, clock=True, threads=1)


def test_the_blend_answers_as_lightgbm_does() -> None:
    inner = engine(without_tail(histories(), 2, 3))
    data = examples(inner, tail(histories(), 1, 3), True, 10, np.random.default_rng(0))
    text = fit_lambdamart(data, [20], SMALL.trees.model_copy(update={"min_data_in_leaf": 5}), seed=1, threads=1)[20]
    nobody = Candidates(*(np.zeros(0, np.int32),) * 2, *(np.zeros((0, 0), np.float32),) * 3)
    ours = Blend(TREES, data.columns, text).score(nobody, (), data.columns, data.matrix)
    theirs = lightgbm.Booster(model_str=text).predict(data.matrix)
    assert np.ptp(ours) > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_blend_refuses_features_that_it_was_not_learned_on() -> None:
    nobody = Candidates(*(np.zeros(0, np.int32),) * 2, *(np.zeros((0, 0), np.float32),) * 3)
    with pytest.raises(ValueError, match=r"ease\.relative"):
        Blend(TREES, ("ease.rank",), "").score(nobody, (), ("ease.relative", "ease.rank"), np.zeros((0, 2), np.float32))


def test_best_of_rows_orders_and_pads() -> None:
    rows, items = np.array([0, 0, 0, 1], np.int32), np.array([4, 5, 6, 7], np.int32)
    found = Candidates(rows, items, *(np.zeros((4, 0), np.float32),) * 2, np.zeros((2, 0), np.float32))
    lists, scores = best_of_rows(found, np.array([1, 3, 3, 2], np.float32), 2, 2)
    assert lists.tolist() == [[5, 6], [7, -1]]
    assert scores.tolist() == [[3.0, 3.0], [2.0, -np.inf]]


def test_examples_hold_the_answer_and_bounded_others() -> None:
    data = examples(engine(), tail(histories(), 1, 3), True, 5, np.random.default_rng(0))
    ends = np.cumsum(data.sizes)
    assert (np.add.reduceat(data.labels, ends - data.sizes) == 1).all()
    assert data.sizes.max() <= 6 and len(data.users) == len(data.sizes)


def test_where_items_come_again_lists_without_them_are_learned_too() -> None:
    """Every second user's last event is their first one again: usual groups for all, and for the others one without
    what they took, in which nothing has been taken before."""
    rows = [(histories()[row][0].tolist(), histories()[row][1].tolist()) for row in range(len(histories()))]
    for items, _ in rows[::2]:
        items[-1] = items[0]
    positions = tail(Histories.from_rows(rows), 1, 3)
    usual = examples(engine(), positions, False, 5, np.random.default_rng(0))
    both = asked_for(engine(), positions, False, 5, np.random.default_rng(0))
    new = both.take(np.arange(len(both.sizes)) >= len(usual.sizes))
    taken = usual.matrix[:, usual.columns.index("repeats")]
    assert 0 < len(new.sizes) <= (len(positions) + 1) // 2 and set(new.users) <= set(positions.users[1::2])
    assert taken.max() > 0 and not new.matrix[:, new.columns.index("repeats")].any()
    again = positions.take(np.arange(0, 8, 2))
    sizes = [of(engine(), again, False, 5, np.random.default_rng(0)).sizes for of in (asked_for, examples)]
    assert len(sizes[0]) == len(sizes[1])


def test_learning_finds_the_better_setting_and_a_blend() -> None:
    whole = histories(users=160)
    train = without_tail(whole, 1, 3)
    task = leave_last_out_task(train, tail(whole, 1, 3).targets, positions=3)
    learned = select_models(task, catalogue(), SMALL, initial_params(SMALL, "base", "last_event"), JUDGE)
    assert set(learned.choices.members) == {"popularity", "content_knn"}
    tried = {row["setting"]: row["ndcg@10"] for row in learned.trials if row["member"] == "content_knn"}
    assert learned.choices.members["content_knn"]["decay"] == float(max(tried, key=lambda s: tried[s]).split()[-1])
    rankers = {name: score for name, score in learned.scores.items() if name not in learned.choices.members}
    assert learned.scores[learned.choices.ranker] == max(rankers.values()) > learned.scores["popularity"]
    assert not learned.choices.relearn and not len(learned.steps.users), "these cuts do not follow each other in time"


def test_a_single_setting_is_taken_untried_and_can_still_be_measured() -> None:
    one = SMALL.model_copy(update={"members": {"content_knn": {"decay": (5.0,)}}})
    whole = histories(users=160)
    task = leave_last_out_task(without_tail(whole, 1, 3), tail(whole, 1, 3).targets, positions=1)
    base = initial_params(one, "base", "last_event")
    assert choose_members(task, catalogue(), base, one, JUDGE) == ({"content_knn": {"decay": 5.0}}, [])
    trials = try_member("content_knn", task, catalogue(), base, one, JUDGE).trials
    assert [trial["setting"] for trial in trials] == ["decay 5"] and float(trials[0]["ndcg@10"]) > 0


def test_of_nearly_equal_settings_the_first_is_selected() -> None:
    """Whatever rounding makes of them: the last one is better by a thousandth of its error, and the second by two."""
    grid = spec("content_knn").grid({"decay": (9.0, 1.0, 5.0)})
    rng = np.random.default_rng(0)
    base, noise = rng.uniform(0.2, 0.4, 50), rng.normal(0, 0.1, 50)
    noise -= noise.mean()
    error = float(noise.std(ddof=1) / np.sqrt(50))

    def chosen(gain: float) -> float:
        ndcg = {9.0: base, 1.0: base + noise + gain * error, 5.0: base + noise + gain * error + 1e-6}
        models = [spec("content_knn").cls.fit(histories(), catalogue(), grid[0], clock=True)]

        def score(members: Sequence[Recommender]) -> PositionScores:
            return PositionScores(np.arange(50), ndcg[members[0].decay])  # type: ignore[attr-defined]

        return float(choose_member("content_knn", grid, score, lambda _: models).best.model_dump()["decay"])

    assert [chosen(gain) for gain in (-1.0, 0.0, 0.001, 0.2, 2.0)] == [9.0, 9.0, 9.0, 9.0, 1.0]


def test_of_many_events_a_member_learns_with_other_values() -> None:
    whole = histories(users=160)
    task = leave_last_out_task(without_tail(whole, 1, 3), tail(whole, 1, 3).targets, positions=1)
    events = len(task.train.items)
    few = SMALL.model_copy(update={"many_events": events + 1, "with_many": {"content_knn": {"decay": (3.0,)}}})
    many = few.model_copy(update={"many_events": events})
    base = initial_params(SMALL, "base", "last_event")
    decays = [
        select_models(task, catalogue(), each, base, JUDGE).choices.members["content_knn"]["decay"]
        for each in (few, many)
    ]
    assert decays[0] in (1.0, 5.0) and decays[1] == 3.0
    with pytest.raises(UserError, match=r"finetune.with_many.content_knn.decoy"):
        require_known({"content_knn": {"decoy": (3.0,)}}, "finetune.with_many")


def test_too_few_positions_fall_back_to_what_ranks_best() -> None:
    few = histories().take(range(12))
    task = leave_last_out_task(without_tail(few, 1, 3), tail(few, 1, 3).targets, positions=2)
    learned = choose_blend(task, catalogue(), choices(), SMALL, JUDGE)
    assert learned.choices.blend != TREES and learned.choices.trees == ""


def test_the_same_examples_learn_the_same_trees() -> None:
    inner = engine(without_tail(histories(), 2, 3))
    texts = [
        fit_lambdamart(
            examples(inner, tail(histories(), 1, 3), True, 10, np.random.default_rng(0)),
            [5, 10],
            SMALL.trees,
            1,
            threads=2,
        )
        for _ in range(2)
    ]
    assert texts[0] == texts[1]


def test_choices_survive_a_file(tmp_path: object) -> None:
    made = choices(TREES).model_copy(update={"columns": ("a", "b"), "trees": "tree\n", "ranker": "trees 80"})
    made.write(tmp_path)  # type: ignore[arg-type]
    assert type(made).read(tmp_path) == made  # type: ignore[arg-type]
