"""What users turned down: features by hand, without a look ahead; a ranker that learns from them; and no way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightreel.data.contract.verdicts import NOTHING, code_of
from nightreel.data.histories import Histories
from nightreel.evaluation.validation import ndcg
from nightreel.models.engine import Engine
from nightreel.models.ranker.aversion import COLUMNS, CONTENT, GENRE, OWN, SHARE, USUAL
from nightreel.models.ranker.blend import WEIGHTED, Blend
from nightreel.models.training import linear_rankers
from nightreel.models.training.fit import fit_engine
from nightreel.models.training.fold_task import Cuts, leave_last_out_task, task_in_time
from nightreel.models.training.training_examples import Examples, Validator, examples
from nightreel.models.training.training_positions import Positions, tail, without_tail
from tests.support import planted
from tests.support.planted import DAY, ITEMS, catalogue, choices

USERS = 300
NOW = 1e9 + 100 * DAY


def with_negatives(event: str = "dislike") -> Histories:
    """The planted histories; each user has turned down two items of the other taste, at noon of two days."""
    past = planted.histories()
    items = [[(2 * user + 1 - user % 2) % ITEMS, (2 * user + 3 - user % 2) % ITEMS] for user in range(len(past))]
    times = [past[user][1][[2, 6]] + DAY / 2 for user in range(len(past))]
    rows = Histories.from_rows([(own, when.tolist()) for own, when in zip(items, times, strict=True)])
    return replace(past, negatives=replace(rows, verdicts=np.full(len(rows.items), code_of(event), np.int8)))


def columns_of(engine: Engine, past: Histories) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Candidates of one row, and their features by name."""
    found, names, matrix = engine.candidates(past, np.array([NOW]), None)
    return found.items, dict(zip(names, matrix.T, strict=True))


def test_the_features_by_hand() -> None:
    train = with_negatives("skip")
    engine = fit_engine(train, catalogue(), choices(), clock=True)
    past = train.row(0)
    items, columns = columns_of(engine, past)
    assert past.negatives is not None
    against, taken, vectors = past.negatives.items, past.items, catalogue().vectors
    nearest = (vectors[items] @ vectors[against].T).max(axis=1) - (vectors[items] @ vectors[taken].T).max(axis=1)
    np.testing.assert_allclose(columns[CONTENT], nearest, atol=1e-5)
    # Genres are the tastes: what was taken is all of one, what was turned down all of the other.
    np.testing.assert_allclose(columns[GENRE], np.where(items % 2 == 0, -1, 1), atol=1e-5)
    assert train.negatives is not None
    bad, good = (np.bincount(each.items, minlength=ITEMS)[items] for each in (train.negatives, train))
    usual = len(train.negatives.items) / (len(train.negatives.items) + len(train.items))
    np.testing.assert_allclose(columns[SHARE], (bad + USUAL * usual) / (bad + good + USUAL) - usual, atol=1e-5)
    np.testing.assert_array_equal(columns[OWN], np.isin(items, against))
    _, unknown = columns_of(engine, replace(past, negatives=None))
    assert np.isnan(unknown[CONTENT]).all() and np.isnan(unknown[GENRE]).all() and not unknown[OWN].any()
    np.testing.assert_array_equal(unknown[SHARE], columns[SHARE])


def test_a_log_without_negative_events_has_no_such_column() -> None:
    engine = fit_engine(planted.histories(), catalogue(), choices(), clock=True)
    _, columns = columns_of(engine, planted.histories().row(0))
    assert not set(COLUMNS) & set(columns)
    ranker = Blend(WEIGHTED, ("ease.relative", *COLUMNS), "", (1.0, -2.0, -1.0, -1.0, 0.0))
    _, wanted = columns_of(replace(engine, blend=ranker), planted.histories().row(0))
    assert tuple(wanted) == ranker.columns, "a ranker of an earlier night still ranks"


def test_nothing_later_is_looked_at() -> None:
    known = with_negatives()
    for back in (1, 4, 8):
        positions = tail(known, back, 3)
        against = positions.histories.negatives
        assert against is not None and positions.histories.lengths[0] == 12 - back
        assert (against.times < positions.targets.times[against.rows]).all()
        assert against.lengths.tolist() == [{1: 2, 4: 2, 8: 1}[back]] * len(positions)
    inner = without_tail(known, 8, 3)
    assert inner.negatives is not None and inner.negatives.lengths.tolist() == [1] * len(inner)
    in_time = task_in_time(known, Cuts(3, 20, 0.1, True))
    assert len(in_time.time_cuts) > 1
    for cut in in_time.time_cuts:
        start = cut.positions.moments.min()
        for each in (cut.known.negatives, cut.positions.histories.negatives):
            assert each is not None and len(each.items) and each.times.max() < start
    last = leave_last_out_task(without_tail(known, 1, 3), tail(known, 1, 3).targets, 2)
    assert last.train.negatives is not None


def test_counts_of_a_moment_do_not_know_the_next_one() -> None:
    train = with_negatives()
    whole = fit_engine(train, catalogue(), choices(), clock=True)
    assert train.negatives is not None
    moment = float(np.median(train.negatives.times))
    part = fit_engine(train.before(moment), catalogue(), choices(), clock=True)
    assert whole.statistics.negatives is not None and part.statistics.negatives is not None
    at, items = np.full(ITEMS, moment), np.arange(ITEMS, dtype=np.int32)
    later = whole.statistics.negatives.counts(items, at)
    assert (later <= part.statistics.negatives.counts(items, at + DAY)).all()
    assert later.sum() < len(train.negatives.items)


def two_tastes(rng: np.random.Generator) -> Positions:
    """Users who took to four items of each taste and turned two of one down; the next event is of the other."""
    rows, against, targets = [], [], []
    for user in range(USERS):
        own = [rng.permutation(np.arange(taste, ITEMS, 2)).tolist() for taste in (0, 1)]
        avoided = user % 2
        times = (1e9 + DAY * np.arange(40, 48)).tolist()
        rows.append(([own[n % 2][n // 2] for n in range(8)], times))
        against.append((own[avoided][4:6], [times[-1] + 60, times[-1] + 120]))
        targets.append(([own[1 - avoided][4]], [times[-1] + 600]))
    past, negatives = Histories.from_rows(rows), Histories.from_rows(against)
    skips = replace(negatives, verdicts=np.full(len(negatives.items), code_of("skip"), np.int8))
    return Positions(replace(past, negatives=skips), past.last_times, Histories.from_rows(targets), np.arange(USERS))


def quality(engine: Engine, learned: Positions, asked: Positions) -> tuple[Blend, float]:
    """The simplest ranker trained on some positions, and NDCG@10 of its lists at others."""
    known = examples(engine, learned, True, 30, np.random.default_rng(0))
    blend = linear_rankers.mix(known, tuple(sorted(engine.members)))
    validator = Validator(ndcg, True, True, 1)
    return blend, validator.mean(replace(engine, blend=blend), asked, "blend")


def test_a_ranker_learns_what_dislikes_say_of_what_comes_next() -> None:
    both = two_tastes(np.random.default_rng(3))
    learned, asked = both.take(np.arange(200)), both.take(np.arange(200, USERS))
    engine = fit_engine(with_negatives(), catalogue(), choices(), clock=True)
    ranker, with_them = quality(engine, learned, asked)
    blind = replace(engine, statistics=replace(engine.statistics, negatives=None))
    plain, without = quality(blind, learned, asked)
    assert set(COLUMNS) <= set(ranker.columns) and not set(COLUMNS) & set(plain.columns)
    weights = dict(zip(ranker.columns, ranker.weights, strict=True))
    assert weights[CONTENT] < 0 and weights[GENRE] <= 0 and with_them > 1.3 * without, (with_them, without)
    lists, _ = replace(engine, blend=ranker).top_k(
        asked.histories, asked.moments, 10, exclude=asked.histories.met(), hidden=None
    )
    avoided = asked.users[:, None] % 2
    assert np.mean(lists % 2 == avoided) < 0.1


def test_without_evidence_a_dislike_still_counts_and_evidence_can_overrule_it() -> None:
    def fitted(against: np.ndarray) -> float:
        """The weight where the taken one of two candidates has this likeness to what was turned down, the other 0."""
        matrix = np.stack([np.stack([against, np.zeros_like(against)], axis=1).ravel(), np.zeros(2 * len(against))])
        labels = np.tile([1, 0], len(against)).astype(np.int8)
        sizes, users = np.full(len(against), 2), np.arange(len(against))
        data = Examples((CONTENT, "popular.0"), matrix.T.astype(np.float32), labels, sizes, users)
        return linear_rankers.fitted(data, data.columns)[0].weights[0]

    assert fitted(np.zeros(50)) == pytest.approx(linear_rankers.EXPECTED[CONTENT])
    assert fitted(np.full(50, -0.5)) < linear_rankers.EXPECTED[CONTENT]
    assert fitted(np.full(50, 0.5)) == 0.0, "who goes on with what they turned down is not second-guessed"


@pytest.mark.parametrize("model", ["blend", "ease", "popularity", "content_knn", "svd"])
def test_no_list_of_any_model_holds_what_was_disliked(model: str) -> None:
    train = with_negatives()
    more = choices().model_copy(update={"members": choices().members | {"svd": {"factors": 8.0, "decay": 5.0}}})
    engine = fit_engine(train, catalogue(), more, clock=True)
    moments, hidden = np.full(len(train), np.nan), None
    assert train.negatives is not None
    for past in (train, train.where(np.zeros(len(train.items), bool))):  # visitors who only disliked, too
        lists, _ = engine.top_k(past, moments, ITEMS, exclude=None, hidden=hidden, model=model)
        for row, items in enumerate(lists):
            assert not np.isin(train.negatives[row][0], items).any()
        forgiven = replace(train.negatives, verdicts=np.full(len(train.negatives.items), NOTHING, np.int8))
        lists, _ = engine.top_k(
            replace(past, negatives=forgiven), moments, ITEMS, exclude=None, hidden=None, model=model
        )
        assert any(np.isin(train.negatives[row][0], items).any() for row, items in enumerate(lists))
