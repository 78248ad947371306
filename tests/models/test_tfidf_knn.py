from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from nightreel.data.histories import Histories
from nightreel.models.base import Catalogue
from nightreel.models.catalogue import catalogue_of
from nightreel.models.neighbors.tfidf_knn import TfidfKnn, TfidfKnnConfig, weighted_words
from nightreel.models.term_counts import word_counts, words_of

HYPER = {"neighbors": 10.0, "decay": 5.0}
ITEMS = pa.table({
    "title": ["Alien (1979)", "Aliens", "Amélie", None, "東京物語", "東京の夜", "Silence"],
    "genres": [["Horror"], ["horror"], ["Romance"], ["romance"], None, [], ["None like it"]],
    "tags": [["Ripley"], ["ripley", ""], None, ["Paris"], ["Ozu"], [], []],
    "description": ["In space.", None, "A waitress in Paris", None, None, None, None],
})  # fmt: skip


def catalogue() -> Catalogue:
    return catalogue_of(ITEMS, np.zeros((ITEMS.num_rows, 4), np.float32))


def scores(item: int) -> np.ndarray:
    member = TfidfKnn.fit(
        Histories.from_rows([([], [])]), catalogue(), TfidfKnnConfig.model_validate(HYPER), clock=True
    )
    return np.asarray(member.score(Histories.from_rows([([item], [1.0])]), np.zeros(1))[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Amélie's café, 2001!", ["amélie", "s", "café", "2001"]),
        ("snake_case STRASSE Straße", ["snake", "case", "strasse", "strasse"]),
        ("東京物語 (2017)", ["東京", "京物", "物語", "2017"]),
        ("기생충 龍", ["기생", "생충", "龍"]),
        ("ｆｕｌｌ e\u0301te\u0301", ["full", "été"]),
        ("हिन्दी फ़िल्म।", ["हिन्दी", "फ़िल्म"]),
        ("3Dアニメ", ["3d", "アニ", "ニメ"]),
        ("—!?", []),
    ],
)
def test_words_in_several_scripts(text: str, words: list[str]) -> None:
    assert list(words_of(text)) == [unicodedata.normalize("NFKC", word) for word in words]


def test_counts_leave_out_words_of_one_item() -> None:
    counts = word_counts([["a b", "a"], ["a c"], []])
    assert counts.toarray().tolist() == [[2.0], [1.0], [0.0]]


def test_weights_are_damped_counts_times_rarity_at_unit_length() -> None:
    counts = sp.csr_matrix(np.array([[2, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], np.float32))
    expected = np.array([(1 + np.log(2)) * np.log(4), np.log(2), 0.0])
    found = weighted_words(counts).toarray()
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 1, 0], rtol=1e-6)


@pytest.mark.parametrize(("asked", "near"), [(0, 1), (2, 3), (4, 5)])
def test_items_that_share_words_are_near(asked: int, near: int) -> None:
    found = scores(asked)
    assert found.argmax() == near and found[near] > 0 and found[asked] == 0


def test_an_item_that_shares_no_word_is_near_nothing() -> None:
    assert not scores(6).any()


def test_without_texts_the_genres_are_the_words() -> None:
    genres = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    bare = Catalogue(np.zeros((4, 2), np.float32), genres, np.full(4, np.nan, np.float32))
    member = TfidfKnn.fit(Histories.from_rows([([], [])]), bare, TfidfKnnConfig.model_validate(HYPER), clock=True)
    assert member.score(Histories.from_rows([([0], [1.0])]), np.zeros(1)).round(4).tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_a_table_without_any_text_scores_zeros() -> None:
    bare = catalogue_of(pa.table({"title": pa.array([None, None], pa.string())}), np.zeros((2, 4), np.float32))
    member = TfidfKnn.fit(Histories.from_rows([([0], [1.0])]), bare, TfidfKnnConfig.model_validate(HYPER), clock=True)
    assert member.score(Histories.from_rows([([0], [1.0])]), np.zeros(1)).tolist() == [[0.0, 0.0]]


def test_a_name_of_several_words_is_one_more_word_wherever_a_text_has_it() -> None:
    texts = [
        ["Silver Pilots"],
        ["a song by the silver  PILOTS"],
        ["silver", "Pilots"],
        ["pilots, silver"],
        ["李小龙"],
        ["我爱李小龙"],
    ]
    counts = word_counts(texts, {"Silver Pilots", "Silver", "李小龙"})
    terms = ["pilots", "silver", "silver pilots", "小龙", "李小", "李小 小龙"]
    assert counts.toarray().tolist() == [
        [1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1],
    ], terms  # fmt: skip
    assert word_counts(texts).shape[1] == 4, "without names, the words alone"
    assert word_counts([["a b c d e f"]] * 2, ["a b c d e f"]).shape[1] == 6, "longer names are told by their words"


def test_a_catalogue_knows_its_creators_names() -> None:
    items = pa.table({
        "item_id": ["1", "2", "3"], "title": ["Rain", "Silver Pilots: Fire", "Silver dust of pilots"],
        "creators": pa.array([["Silver Pilots"], None, []], pa.list_(pa.string())),
    })  # fmt: skip
    with_name, without = (
        catalogue_of(each, np.ones((3, 1), np.float32)).words() for each in (items, items.drop(["creators"]))
    )
    assert with_name.shape[1] == without.shape[1] + 1 == 3
    assert with_name.toarray().sum(axis=1).tolist() == [3, 3, 2]
