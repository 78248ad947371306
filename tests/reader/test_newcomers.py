"""Lists for users without events: by what the version knows of them, or by what the request says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nightreel.data.contract.verdicts import code_of
from nightreel.data.histories import Histories
from nightreel.errors import UserError
from nightreel.reader.options import RequestOptions
from nightreel.reader.reader import Reader
from nightreel.reader.requests.recent_events import Recent
from nightreel.reader.results import Recommendation
from nightreel.store.withdrawals_file import Withdrawals
from tests.support.bundles import write_bundle
from tests.support.newcomers import write_with_newcomers


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp("bundle") / "b"
    write_with_newcomers(folder)
    return Reader.open_bundle(folder)


def odd(found: list[Recommendation]) -> list[bool]:
    return [int(each.item_id[1:]) % 2 == 1 for each in found]


def test_a_newcomer_gets_what_is_popular_among_similar_users(reader: Reader) -> None:
    anna, bert, nobody = (reader.recommend(user, k=6) for user in ("anna", "bert", "nobody"))
    assert all(odd(anna)) and not any(odd(bert)) and len(set(odd(nobody))) == 2
    assert {each.reason for each in anna} == {"popular among similar users"} and nobody[0].reason == "popular"
    assert [each.item_id for each in nobody] == [each.item_id for each in reader.recommend(k=6)]


def test_a_request_says_it_before_the_version_does(reader: Reader) -> None:
    anna, bert = (reader.recommend(user, k=6) for user in ("anna", "bert"))
    assert reader.recommend(context={"country": " de"}, k=6) == anna
    assert reader.recommend("anna", context={"country": "FR", "hour": 20, "plan": None}, k=6) == bert


def test_what_is_unknown_counts_as_not_given(reader: Reader) -> None:
    plain = reader.recommend(k=6)
    for context in ({}, None, {"country": "XX"}, {"device": "TV", "labels": ["Horror"]}, {"tier": "a"}):
        assert reader.recommend(context=context, k=6) == plain, context
    known = reader.recommend("u001", k=6)
    assert reader.recommend("u001", context={"country": "FR"}, k=6) == known
    assert reader.recommend("anna", context={"country": "XX"}, k=6) == plain  # the request is the newer of the two
    history = reader.recommend(history=["i001", "i003"], k=6)
    assert reader.recommend(history=["i001", "i003"], context={"country": "FR"}, k=6) == history


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"contry": "DE"}, "'contry' is no column of context. Did you mean country?"),
        ("country=DE", "context is the text 'country=DE'. Give a mapping"),
        ({"country": 1.5}, "country is the number 1.5. Give a text"),
        ({"country": [1]}, "country is a list"),
    ],
)
def test_a_wrong_context_is_refused_by_name(reader: Reader, context: object, message: str) -> None:
    with pytest.raises(UserError, match="context") as caught:
        reader.recommend(context=context, k=3)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_version_without_newcomers_takes_the_same_names(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b")
    plain = Reader.open_bundle(tmp_path / "b")
    assert plain.newcomers is None and not plain.describes("anna")
    assert plain.recommend(context={"country": "DE"}, k=5) == plain.recommend(k=5)
    with pytest.raises(UserError, match=r"'tier' is no column of context\. .*This version takes country, age_band"):
        plain.recommend(context={"tier": "a"}, k=5)


def test_filters_likes_and_pages_hold_as_for_all_lists(reader: Reader) -> None:
    listed = [each.item_id for each in reader.recommend("anna", k=9)]
    assert [each.item_id for each in reader.recommend("anna", k=3, offset=3)] == listed[3:6]
    left = reader.recommend("anna", k=3, options=RequestOptions(exclude=tuple(listed[:3])))
    assert [each.item_id for each in left] == listed[3:6]
    only = reader.recommend("anna", k=3, options=RequestOptions(genres=("Romance",)))
    assert len(only) == 3 and not any(odd(only))
    disliked = Recent(disliked=(listed[0],), revision=1)
    assert listed[0] not in [each.item_id for each in reader.recommend("anna", k=30, recent=disliked)]
    liked = reader.recommend("anna", k=3, options=RequestOptions(liked=("i004",)))
    assert liked == reader.recommend("nobody", k=3, options=RequestOptions(liked=("i004",)))


def test_tables_and_explanations_agree_with_the_list(reader: Reader) -> None:
    table = reader.recommend_users(["anna", "u001", "nobody", "bert"], k=4).to_pylist()
    for user in ("anna", "u001", "nobody", "bert"):
        listed = [each.item_id for each in reader.recommend(user, k=4)]
        assert [row["item_id"] for row in table if row["user_id"] == user] == listed, user
    third = reader.recommend("anna", k=3, reasons=True)[2]
    found = reader.explain(third.item_id, "anna")
    assert found.rank == 3 and found.score == pytest.approx(third.score)
    assert found.reasons[0].text == "Popular among similar users (de)" == third.reasons[0].text
    assert reader.explain(third.item_id, context={"country": "DE"}).rank == 3


def test_who_is_withdrawn_is_unknown_and_ids_may_be_pseudonyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = b"k" * 32
    monkeypatch.setenv("NIGHTREEL_PSEUDONYM_KEY", key.decode())
    write_with_newcomers(tmp_path / "b", key)
    reader = Reader.open_bundle(tmp_path / "b")
    assert reader.describes("anna") and all(odd(reader.recommend("anna", k=6)))
    gone = reader.newcomers.ids.to_pylist() if reader.newcomers else []
    withdrawn = reader.under(Withdrawals(erased=tuple(gone)))
    assert not withdrawn.describes("anna") and withdrawn.recommend("anna", k=6) == reader.recommend("nobody", k=6)


def test_what_a_user_turned_down_is_left_out_although_nothing_was_liked(reader: Reader) -> None:
    best = reader.items.index_of(reader.recommend("anna", k=1)[0].item_id)
    assert best is not None
    nothing = reader.users.histories.row(len(reader.users))
    turned_down = Histories(
        np.array([0, 1]), np.array([best], np.int32), np.zeros(1), verdicts=np.array([code_of("dislike")], np.int8)
    )
    for past, there in ((nothing, True), (replace(nothing, negatives=turned_down), False)):
        found = reader.top_in_segments(past, np.array([np.nan]), None, 30, {"country": [0]}, None)
        assert (best in found.items[0]) is there
