"""Reasons are the score's own: without the named evidence an item falls further than without anything else."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nightreel.bundle import editorial_rules
from nightreel.bundle.item_facets import Facets
from nightreel.data.contract.schema import RULES_SCHEMA
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.models.engine import Engine
from nightreel.models.neighbors.user_knn import UserKnn, UserKnnConfig
from nightreel.models.ranker.blend import TREES, Blend
from nightreel.models.training.lambdamart import fit_lambdamart
from nightreel.models.training.training_examples import examples
from nightreel.models.training.training_positions import tail, without_tail
from nightreel.reader.explain.contributions import contributions, without_each
from nightreel.reader.explain.leave_one_out import Effects
from nightreel.reader.explain.votes import votes
from nightreel.reader.question import Question
from nightreel.reader.reader import Reader
from tests.support import planted
from tests.support.bundles import UNTIL, reseal, taste, write_bundle
from tests.support.settings import settings


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(folder, blocked=(4,), expires={6: UNTIL - 1})
    return Reader.open_bundle(folder)


@cache
def served(kind: str) -> Engine:
    """The planted engine with rank fusion or with learned trees."""
    inner = planted.engine(without_tail(planted.histories(), 2, 3))
    if kind != TREES:
        return inner
    trees = settings().finetune.trees.model_copy(update={"min_data_in_leaf": 5})
    data = examples(inner, tail(planted.histories(), 1, 3), True, 30, np.random.default_rng(0))
    text = fit_lambdamart(data, [60], trees, seed=1, threads=1)[60]
    return dataclasses.replace(inner, blend=Blend(TREES, data.columns, text))


def two_tastes(rng: np.random.Generator) -> Histories:
    """One row: three steps along each taste's ring, by turns."""
    start = rng.integers(0, planted.ITEMS // 2, 2)
    ring = (start[None, :] + np.arange(3)[:, None]) % (planted.ITEMS // 2)
    items = (2 * ring + np.array([0, 1])).ravel()
    return Histories.from_rows([(items.tolist(), (1e9 + planted.DAY * (30 + np.arange(6))).tolist())])


@pytest.mark.parametrize("kind", ["fusion", TREES])
def test_without_the_named_evidence_an_item_falls_further_than_without_random_events(kind: str) -> None:
    engine, rng = served(kind), np.random.default_rng(0)
    named, random = [], []
    for _ in range(30):
        past = two_tastes(rng)
        question = Question(past, past, past.last_times, past.last_times)
        items = engine.top_k(past, past.last_times, 3, exclude=past, hidden=None)[0][0].astype(np.int64)
        found = votes(engine, question, items, None)
        for at, item in enumerate(items.tolist()):
            chosen = found.history[found.evidence(at, 1, np.ones(len(found.history), bool))]
            left_out = np.concatenate([chosen, rng.permutation(past.items[past.items != chosen[0]])[:3]])
            drops = Effects.measured(engine, question, np.array([item]), left_out, (None, None), 60).drops[:, 0]
            named.append(drops[0])
            random.append(drops[1:].mean())
    difference = np.array(named) - np.array(random)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert np.mean(named) > 0 and difference.mean() > 3 * error, (np.mean(named), np.mean(random), error)


@pytest.mark.parametrize("name", ["ease", "item_knn", "slist", "content_knn"])
def test_the_events_terms_sum_to_the_members_score(name: str) -> None:
    engine, past = served("fusion"), planted.histories().take([3])
    items = np.arange(planted.ITEMS)
    terms = contributions(engine.members[name], past, engine.now, items)
    score = engine.members[name].score(past, past.last_times)[0]
    scale = float(np.abs(terms.sum(axis=0)).max() / np.abs(score).max()) if name == "content_knn" else 1.0
    np.testing.assert_allclose(terms.sum(axis=0), scale * score, rtol=1e-4, atol=1e-5)


def test_other_members_are_asked_without_each_event() -> None:
    past = planted.histories().take([0])
    left = without_each(past, np.array([0, 11]))
    assert left.lengths.tolist() == [11, 11]
    assert left[0][0].tolist() == past.items[1:].tolist() and left[1][0].tolist() == past.items[:-1].tolist()
    member = UserKnn.fit(
        planted.histories(), planted.catalogue(), UserKnnConfig(neighbors=20, shrink=1, decay=5), clock=True
    )
    terms = contributions(member, past, planted.engine().now, np.array([int(past.items[-1]) + 2]))
    whole = member.score(past, past.last_times)[0, int(past.items[-1]) + 2]
    last = member.score(left.take([1]), past.last_times)[0, int(past.items[-1]) + 2]
    assert terms[-1, 0] == pytest.approx(float(whole - last), abs=1e-6)


def test_each_item_of_a_list_says_why(reader: Reader) -> None:
    listed = reader.recommend("u001", k=5, reasons=True)
    history = {f"i{i:03d}" for i in reader.users.histories[1][0]}
    for each in listed:
        for reason in each.reasons[:-1]:
            assert set(reason.items) <= history and bool(reason.items) == (reason.kind != "popular")
            assert all(reader.items.titles[reader.items.require(i)] in reason.text for i in reason.items)
        kinds = [reason.kind for reason in each.reasons]
        assert {"behaviour", "content"} & set(kinds) and {"popular", "genre"} <= set(kinds)
        assert 0.5 < sum(reason.share for reason in each.reasons) <= 1.0 + 1e-9
        genres = [reason for reason in each.reasons if reason.kind == "genre"]
        assert genres[0].words == ("Sci-Fi",) and set(genres[0].items) <= history
    assert [each.item_id for each in listed] == [each.item_id for each in reader.recommend("u001", k=5)]
    popular = reader.recommend(k=3, reasons=True)
    assert {each.reasons[0].text for each in popular} == {"Popular now"}


def test_an_explanation_is_measured_by_asking_again(reader: Reader) -> None:
    first = reader.recommend("u001", k=1)[0]
    told = reader.explain(first.item_id, "u001")
    assert (told.item_id, told.rank, told.left_out) == (first.item_id, 1, None)
    assert told.score == pytest.approx(first.score)
    assert [each.drop for each in told.evidence] == sorted((each.drop for each in told.evidence), reverse=True)
    assert 0 < len(told.evidence) <= 5 and told.evidence[0].drop > 0
    history = [f"i{i:03d}" for i in reader.users.histories[1][0]]
    by_history = reader.explain(first.title, history=history)
    assert by_history.item_id == first.item_id and by_history.reasons


def test_what_is_left_out_is_told(reader: Reader) -> None:
    seen = f"i{reader.users.seen[1][0][0]:03d}"
    assert reader.explain(seen, "u001").left_out == "seen"
    assert reader.explain(seen, "u001", exclude_seen=False).left_out is None
    assert (reader.explain("i004", "u000").left_out, reader.explain("i006", "u000").left_out) == ("blocked", "expired")
    assert taste(4) == 0 and reader.explain("i004", "u000").reasons
    other = reader.explain("i029", "u000")
    assert other.rank is None or other.rank > 10
    assert reader.explain("i005", "nobody").reasons[0].kind == "popular"
    with pytest.raises(UserError, match="no item has this id or title"):
        reader.explain("nosuch", "u000")


def test_facets_are_read_once_and_empty_where_a_column_is_missing(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    facets = Facets(tmp_path / "bundle" / "items.parquet")
    assert facets.genres is facets.genres and facets.genres[0] == ("Romance", "Drama")
    assert facets.creators == ((),) * 30 and facets.languages == ((),) * 30
    assert facets.holding("genres", ["sci-fi"]).tolist() == [bool(taste(i)) for i in range(30)]


def test_reasons_of_an_empty_history_need_no_evidence(reader: Reader) -> None:
    past = Histories.from_rows([([], [])])
    found = votes(reader.engine, Question(past, None, np.array([np.nan]), np.array([np.nan])), np.array([0, 1]), None)
    assert len(found.history) == 0 and found.evidence(0, 3, np.empty(0, bool)) == []


@pytest.mark.parametrize("who", [{"user": "u001"}, {"user": "nobody"}, {"history": []}, {"history": ["i001", "i007"]}])
def test_an_explanation_and_the_list_tell_one_place_and_one_score(reader: Reader, who: dict) -> None:
    """For whoever it is, and also far down, where popular items complete the list."""
    listed = reader.recommend(**who, k=30)
    told = [reader.explain(each.item_id, **who) for each in listed]
    assert [each.rank for each in told] == [each.rank for each in listed] and len(listed) > 15
    assert [each.score for each in told] == pytest.approx([each.score for each in listed])


def test_an_explanation_leaves_out_what_rules_hide(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")
    first = Reader.open_bundle(tmp_path / "bundle").recommend("u001", k=1)[0].item_id
    rule = pa.Table.from_pylist([{"rule": "hide", "target": first}], RULES_SCHEMA)
    editorial_rules.write(tmp_path / "bundle", rule)
    reseal(tmp_path / "bundle")
    reader = Reader.open_bundle(tmp_path / "bundle")
    listed = reader.recommend("u001", k=5)
    assert [reader.explain(each.item_id, "u001").rank for each in listed] == [1, 2, 3, 4, 5]
    assert reader.explain(first, "u001").left_out == "rule"
