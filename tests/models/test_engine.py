from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.engine import BLEND, Engine
from nightreel.models.ranker.blend import FUSION, Blend
from nightreel.models.ranker.candidates import Dense, gather
from nightreel.models.ranker.item_statistics import ItemStatistics
from nightreel.models.registry import spec
from nightreel.models.top_k import top_items
from nightreel.models.training.fit import fit_member
from tests.support.planted import DAY, ITEMS, catalogue, engine, histories

NOW = np.array([np.nan])


def ask(over: Engine, rows: Histories, k: int = 10, model: str = BLEND, **given: object) -> np.ndarray:
    moments = np.full(len(rows), np.nan)
    arguments: dict = {"exclude": rows, "hidden": None} | given
    return over.top_k(rows, moments, k, model=model, **arguments)[0]


def test_top_items_breaks_ties_by_index() -> None:
    scores = np.array([[1, 3, 3, 2, 3], [0, 0, 0, 0, 0]], np.float32)
    assert top_items(scores, 3).tolist() == [[1, 2, 4], [0, 1, 2]]
    assert top_items(scores, 9).tolist() == [[1, 2, 4, 3, 0], [0, 1, 2, 3, 4]]
    assert top_items(np.array([[-2, 0.0, -0.0, -1, -np.inf]], np.float32), 5).tolist() == [[1, 2, 3, 0, 4]]


def test_top_items_of_many_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(5)
    scores = rng.integers(0, 400, (30, 5000)).astype(np.float32)  # ties everywhere
    scores[::3, :4990] = -np.inf  # fewer than asked for
    scores[1::3, 7:] = 0.0
    expected = np.lexsort((np.broadcast_to(np.arange(5000), scores.shape), -scores), axis=1)[:, :60]
    assert np.array_equal(top_items(scores, 60), expected)


def test_a_shortlist_keeps_what_members_agree_on() -> None:
    first, second = np.array([[9, 8, 7, 0, 0]], np.float32), np.array([[0, 8, 7, 9, 0]], np.float32)
    found = gather([Dense(each, np.zeros(1, np.float32)) for each in (first, second)], 5, cutoff=3, shortlist=1)
    assert found.items.tolist() == [1] and found.ranks.tolist() == [[1.0, 1.0]]


def test_candidates_are_the_union_of_informed_members() -> None:
    first = np.array([[5, 4, 0, 0, -np.inf]], np.float32)
    second = np.zeros((1, 5), np.float32)
    found = gather(
        [Dense(first, first[:, :4].min(axis=1)), Dense(second, second.min(axis=1))], 5, cutoff=2, shortlist=9
    )
    assert found.items.tolist() == [0, 1]
    assert found.ranks[:, 0].tolist() == [0.0, 1.0] and found.best.tolist() == [[5.0, 0.0]]


def test_lists_hold_no_excluded_and_no_hidden_item() -> None:
    hidden = np.zeros(ITEMS, bool)
    hidden[::3] = True
    lists = ask(engine(), histories(), hidden=hidden)
    assert (lists >= 0).all()
    assert not hidden[lists].any()
    for row in range(len(lists)):
        assert not set(lists[row].tolist()) & set(histories()[row][0].tolist())


def test_an_empty_history_gets_what_is_popular_of_late() -> None:
    late = Histories.from_rows([([9] * 5, [1e9 + 90 * DAY] * 5)])
    both = Histories(
        np.append(histories().indptr, len(histories().items) + 5),
        np.append(histories().items, late.items).astype(np.int32),
        np.append(histories().times, late.times),
    )
    lists = ask(engine(both), Histories.from_rows([([], [])]))
    assert lists[0, 0] == 9 and len(set(lists[0].tolist())) == 10


def test_a_list_longer_than_the_catalogue_is_padded() -> None:
    lists = ask(engine(), histories().take([0]), k=ITEMS + 5)
    assert sorted(lists[0][lists[0] >= 0].tolist()) == sorted(set(range(ITEMS)) - set(histories()[0][0].tolist()))
    assert (lists[0][-5:] == -1).all()


@pytest.mark.parametrize("model", [BLEND, "popularity", "item_knn", "ease", "content_knn", "slist"])
def test_saved_and_opened_it_gives_the_same_lists(model: str, tmp_path: Path) -> None:
    before = engine()
    before.save(tmp_path)
    np.save(tmp_path / "vectors.npy", catalogue().vectors)
    genres = [["a"] if i % 2 == 0 else ["b"] for i in range(ITEMS)]
    titles = [f"T ({int(year)})" for year in catalogue().years]
    pq.write_table(pa.table({"title": titles, "genres": genres}), tmp_path / "items.parquet")
    after = Engine.open(tmp_path)
    assert after.models == before.models
    if model != BLEND:  # the years of the saved table are whole ones, so the blend's features may differ a little
        np.testing.assert_array_equal(ask(after, histories(), model=model), ask(before, histories(), model=model))
    assert (ask(after, histories()) == ask(Engine.open(tmp_path), histories())).all()


def test_blocks_give_the_lists_of_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ask(engine(), histories())
    monkeypatch.setattr("nightreel.models.engine.CELLS", 1)
    np.testing.assert_array_equal(ask(engine(), histories().take(range(10))), whole[:10])


def test_features_see_nothing_of_the_moment_or_later() -> None:
    """With the weights fixed, other events from the moment on change no feature."""
    cut = 1e9 + 20 * DAY
    train = histories()
    later = train.times >= cut
    other = Histories(train.indptr, np.where(later, 0, train.items).astype(np.int32), train.times)
    asked = train.where(~later)
    moments = np.full(len(asked), cut)
    plain = engine(train)
    changed = replace(plain, statistics=engine(other).statistics)
    # Popularity as a member is answered as of the moment too, so it may come from either.
    changed.members["popularity"] = engine(other).members["popularity"]  # type: ignore[index]
    first, second = plain.candidates(asked, moments, asked), changed.candidates(asked, moments, asked)
    assert first[1] == second[1]
    np.testing.assert_array_equal(first[2], second[2])


@pytest.mark.parametrize("name", ["content_knn", "svd", "ials", "nmf", BLEND])
def test_a_batch_gives_what_single_requests_give(name: str) -> None:
    """To the last bit: items whose scores differ by rounding alone would change places otherwise."""
    rng = np.random.default_rng(2)
    items, users = 400, 37
    vectors = rng.normal(size=(items, 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = Catalogue(vectors, np.zeros((items, 0), np.float32), np.full(items, np.nan, np.float32))
    past = Histories.from_rows([(rng.choice(items, 12, replace=False), np.arange(12.0)) for _ in range(users)])
    members = {
        name: fit_member(name, past, own, spec(name).config(), clock=False)
        for name in ("content_knn", "svd", "ials", "nmf")
    }
    statistics = ItemStatistics.fit(past, own, [7], 4, clock=False)
    whole = Engine(members, statistics, own, Blend(FUSION), cutoff=60, shortlist=60, now=13.0)
    moments = np.full(users, np.nan)
    together = whole.top_k(past, moments, 60, exclude=None, hidden=None, model=name)
    for row in range(users):
        alone = whole.top_k(past.take([row]), moments[:1], 60, exclude=None, hidden=None, model=name)
        assert np.array_equal(alone[0][0], together[0][row]) and np.array_equal(alone[1][0], together[1][row]), row
