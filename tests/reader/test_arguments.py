"""Arguments of a wrong type or range: refused by name, never misread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nightreel import Reader, UserError
from tests.support.bundles import write_bundle


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write_bundle(folder)
    return Reader.open_bundle(Path(folder))


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
])  # fmt: skip
def test_a_wrong_argument_is_named(reader: Reader, call: Callable[[Reader], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(reader)
