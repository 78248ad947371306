"""Arguments of a wrong type or range: refused by name, never misread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nightreel import Reader, RequestOptions, UserError
from nightreel.data.histories import Histories
from tests.support.bundles import write_bundle


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(folder)
    assert Reader.open_bundle(str(folder)).digest == Reader.open_bundle(Path(folder)).digest
    return Reader.open_bundle(folder)


def one(item: int) -> Histories:
    return Histories.from_rows([([item], [1.7e9])])


@pytest.mark.parametrize(("call", "message"), [
    (lambda r: r.recommend(history="257", k=3), r"history is the text '257'. Give a list, even of one: \['257'\]"),
    (lambda r: r.recommend(history=[257, 405], k=3), r"history\[0\] is the number 257. Give a text. Ids are text: '257'"),
    (lambda r: r.recommend(history={"i001"}, k=3), "history is a set, which has no order"),
    (lambda r: r.recommend(history={"i001": 1}, k=3), "history is a dict. Give a list of texts"),
    (lambda r: r.recommend(148, k=3), "user is the number 148. Give a text. Ids are text: '148'"),
    (lambda r: r.recommend("u001", k=-1), "k is -1. Give a whole number, 1 or more"),
    (lambda r: r.recommend("u001", k=2.5), "k is the number 2.5. Give a whole number"),
    (lambda r: r.recommend("u001", k=True), "k is True"),
    (lambda r: r.recommend("u001", k=3, offset=-1), "offset is -1. Give a whole number, 0 or more"),
    (lambda r: r.recommend("u001", k=3, at="2026-11-30"), r"at is the text '2026-11-30'. Give epoch seconds"),
    (lambda r: r.recommend("u001", k=3, rights_at="now"), "rights_at is the text 'now'. Give a number"),
    (lambda r: r.recommend("u001", k=3, exclude_seen="no"), "exclude_seen is the text 'no'. Give True, False or None"),
    (lambda r: r.recommend("u001", k=3, options={"genres": ["Drama"]}), r"options is a dict. Give RequestOptions\(…\)"),
    (lambda r: r.similar("i001", -3), "k is -3"),
    (lambda r: r.similar(1, 3), "item_id is the number 1. Give a text. Ids are text: '1'"),
    (lambda r: r.search("star", 0), "k is 0. Give a whole number, 1 or more"),
    (lambda r: r.search(None, 3), "text is None. Give a text"),
    (lambda r: r.explain(7, "u001"), "item is the number 7"),
    (lambda r: r.recommend_users("148", 1), "user_ids is the text '148'. Give a list"),
    (lambda r: r.recommend_users(["u001"], 1, exclude="i001"), "exclude is the text 'i001'"),
    (lambda r: r.rate("257", "u001"), "items is the text '257'. Give a list"),
    (lambda r: r.knows("u001"), "user_ids is the text 'u001'"),
    (lambda r: r.unknown("i001"), "history is the text 'i001'"),
    (lambda r: r.recommend_many([["i001"]], k=3), r"histories is a list. Give Histories\(…\)"),
    (lambda r: r.recommend_many(r.histories, k=0), "k is 0"),
    (lambda r: r.recommend_many(one(2_000_000_000), k=3), "histories holds 2000000000. Give item indices from 0 to 29"),
    (lambda r: r.recommend_many(one(-1), k=3), "histories holds -1. Give item indices"),
    (lambda r: r.recommend_many(Histories(np.array([0, 9]), np.arange(2), np.arange(2.0)), k=3), "histories does not divide"),
    (lambda r: r.recommend_many(one(1), exclude=one(30), k=3), "exclude holds 30"),
    (lambda r: r.recommend_many(one(1), exclude=r.histories, k=3), "exclude has 41 rows for 1 histories"),
    (lambda r: r.recommend_many(one(1), exclude=["i001"], k=3), "exclude is a list"),
    (lambda r: r.recommend_many(one(1), moments=[1.0, 2.0], k=3), "moments is no list of 1 numbers"),
    (lambda r: r.recommend_many(one(1), moments="now", k=3), "moments is no list of 1 numbers"),
    (lambda r: r.recommend_many(one(1), k=3, model="best"), "model is the text 'best'. Give one of blend, "),
    (lambda r: r.score(one(2_000_000_000), [0]), "histories holds 2000000000"),
    (lambda r: r.score(one(1), [30]), "items holds 30. Give item indices from 0 to 29"),
    (lambda r: r.score(one(1), ["i001"]), "items is no list of whole numbers"),
    (lambda r: r.score(one(1), 3), "items is no list of whole numbers"),
    (lambda r: r.score(one(1), [0], model="best"), "model is the text 'best'"),
    (lambda r: r.recommend_users(["u001", "u002"], 1, at=[1.7e9]), "at has 1 times for 2 users"),
    (lambda r: r.recommend_users(["u001"], 1, at=["soon"]), r"at\[0\] is the text 'soon'"),
    (lambda r: r.recommend_users(["u001"], 1, at="soon"), "at is the text 'soon'"),
    (lambda r: r.recommend("u001", k=3, recent={}), r"recent is a dict. Give Recent\(…\)"),
    (lambda r: r.under({"blocked": []}), r"withdrawals is a dict. Give Withdrawals\(…\)"),
    (lambda r: Reader.open("nowhere", version=7), "version is the number 7. Give a text"),
    (lambda r: Reader.open_bundle(7), "folder is the number 7. Give a folder, as a text or a pathlib.Path"),
])  # fmt: skip
def test_a_wrong_argument_is_named(reader: Reader, call: Callable[[Reader], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(reader)


@pytest.mark.parametrize("k", [31, 10**15])
def test_more_places_than_there_are_items_are_the_whole_list(reader: Reader, k: int) -> None:
    whole = reader.recommend("u001", k=30)
    assert 0 < len(whole) < 31 and reader.recommend("u001", k=k) == whole
    assert reader.recommend(k=k, offset=2) == reader.recommend(k=30)[2:]
    assert reader.recommend("u001", k=k, options=RequestOptions(diversity=0.5))
    assert reader.recommend_users(["u001"], k).equals(reader.recommend_users(["u001"], 30))
    assert reader.similar("i001", k) == reader.similar("i001", 30)
    assert reader.search("story", k) == reader.search("story", 30)
