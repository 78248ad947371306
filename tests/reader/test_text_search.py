"""Search by words: ranked by fields, in any script, forgiving of typing errors."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightreel.bundle.item_facets import Facets
from nightreel.reader.reader import Reader
from nightreel.reader.text_search import WordIndex, one_error
from tests.support.bundles import UNTIL, taste, write_bundle

ITEMS = {
    "alien": ("Alien", "A crew meets something in deep space.", ["horror"], ["Ridley Scott"]),
    "aliens": ("Aliens", "Ripley returns to the planet.", ["space"], ["James Cameron"]),
    "amelie": ("Le fabuleux destin d'Amélie Poulain", "A waitress in Paris.", ["romance"], []),
    "wolf": ("战狼2", "吴京主演的动作片", ["动作"], ["吴京"]),
    "totoro": ("となりのトトロ", "", ["アニメ"], ["宮崎駿"]),
    "parasite": ("기생충", "", ["드라마"], ["봉준호"]),
    "gravity": ("Gravity", "Two astronauts drift: space, space, space.", [], []),
    "untitled": (None, None, None, None),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> WordIndex:
    path = tmp_path_factory.mktemp("items") / "items.parquet"
    names = ("title", "description", "tags", "creators")
    columns = dict(zip(names, zip(*ITEMS.values(), strict=True), strict=True))
    pq.write_table(pa.table({"item_id": list(ITEMS), **{name: list(cells) for name, cells in columns.items()}}), path)
    return WordIndex.build(Facets(path))


def found(index: WordIndex, text: str) -> list[str]:
    scores = index.scores(text)
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [list(ITEMS)[i] for i in order if scores[i] > 0]


@pytest.mark.parametrize(("text", "first"), [
    ("alien", ["alien", "aliens"]),
    ("ALIENS", ["aliens"]),
    ("aliem", ["alien"]),
    ("allien", ["alien"]),
    ("laien", ["alien"]),
    ("amelie", ["amelie"]),
    ("Amélie Poulain", ["amelie"]),
    ("paulain", ["amelie"]),
    ("ridley scott", ["alien"]),
    ("ripl", ["aliens"]),
    ("alen", ["alien"]),
    ("战狼", ["wolf"]),
    ("吴京", ["wolf"]),
    ("トトロ", ["totoro"]),
    ("宮崎", ["totoro"]),
    ("기생충", ["parasite"]),
    ("deep space", ["alien"]),
    ("drift space", ["gravity"]),
])  # fmt: skip
def test_what_is_meant_comes_first(index: WordIndex, text: str, first: list[str]) -> None:
    assert found(index, text)[: len(first)] == first


def test_a_tag_counts_more_than_a_description_once(index: WordIndex) -> None:
    by_space = found(index, "space")
    assert set(by_space) == {"alien", "aliens", "gravity"} and by_space.index("aliens") < by_space.index("alien")


@pytest.mark.parametrize("text", ["", "  ", "?!", "zzzzzz", "xq"])
def test_nothing_fits_nothing(index: WordIndex, text: str) -> None:
    assert found(index, text) == []


@pytest.mark.parametrize(("a", "b", "alike"), [
    ("heat", "heat", True), ("heat", "hea", True), ("heat", "heats", True), ("heat", "hbat", True),
    ("heat", "haet", True), ("heat", "hate", False), ("heat", "he", False), ("", "a", True), ("abcd", "badc", False),
])  # fmt: skip
def test_one_error(a: str, b: str, alike: bool) -> None:
    assert one_error(a, b) is one_error(b, a) is alike


def test_the_reader_searches_what_may_be_shown(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", blocked=(3,), expires={5: UNTIL - 1})
    reader = Reader.open_bundle(tmp_path / "bundle")
    ids = [each.item_id for each in reader.search("space story", 100)]
    used = np.asarray(reader.engine.statistics.trends[-1].table[-1])
    space = [i for i in range(30) if taste(i) == 1 and i not in (3, 5)]
    assert used[int(ids[0][1:])] == used[space].max() and {taste(int(i[1:])) for i in ids[:13]} == {1}
    assert not {"i003", "i005"} & set(ids) and len(ids) == 28
    assert [each.title for each in reader.search("romance 4", 1)] == ["Love story 4"]
    assert reader.search("nothing like it", 5) == []


@pytest.mark.parametrize(
    "text", ["a" * 400_000, "e\u0301\u0323" * 60_000, "a" + "\u0301\u0323" * 100_000, "ab " * 100_000 + "zz"]
)
def test_time_is_linear_in_a_querys_length(index: WordIndex, text: str) -> None:
    """Every form of a word with a letter left out took memory of the square of its length."""
    began = time.process_time()
    index.scores(text)
    assert time.process_time() - began < 2


def test_a_title_of_one_long_word_is_found(tmp_path: Path) -> None:
    word = "tschu" * 4_000
    pq.write_table(pa.table({"item_id": ["a"], "title": [word]}), tmp_path / "items.parquet")
    own = WordIndex.build(Facets(tmp_path / "items.parquet"))
    assert own.scores(word)[0] > 0 and own.scores("tschu")[0] > 0
